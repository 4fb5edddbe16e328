// PerThread: what an object that many threads share keeps for each of them.
//
// A pool has a magazine for every thread that uses it, a concurrent arena a lane. Each owns a
// PerThread, which finds the calling thread's value in a few instructions: a thread has a small
// table, in which every owner has its place, and an entry counts only if it bears the owner's id.
// Ids are never used twice, so that what a thread remembers of an owner that is gone is never taken
// for another's. Up to 32 owners that live at the same time have places of their own.
//
//   class Pool : PerThread::Owner {
//     void OnThreadExit(void* magazine) noexcept override;
//     PerThread magazines_{*this};
//   };
//   void* mine = magazines_.Find();
//   if (mine == nullptr) mine = magazines_.FindDisplaced();   // more than 32 owners
//   if (mine == nullptr && magazines_.Set(created)) ...
//
// Costs. Find: six instructions, no atomic, no call. FindDisplaced: a walk over what the thread
// has. Set: mostly a push on a vector, with a small malloc now and then.
//
// Threading. Any thread, for itself. The owner outlives all calls but those of OnThreadExit: a
// thread may end at any time before, during and after the owner's destruction. The owner's hooks
// run under a lock that all PerThreads share: they may lock what belongs to the owner, and nobody
// who has locked that may call Set, or create or destroy a PerThread.
//
// Fork. The child has the calling thread's values; those of other threads, for which no
// OnThreadExit will come, are known to the owner alone. So an owner is told before and after.
#ifndef GRANARY_MEMORY_PER_THREAD_H_
#define GRANARY_MEMORY_PER_THREAD_H_

#include <boost/intrusive/set_hook.hpp>
#include <cstddef>
#include <cstdint>

namespace granary {

class PerThread : public boost::intrusive::set_base_hook<> {
 public:
  class Owner {
   public:
    // The thread whose `value` it is ends: called on it, after its thread_local objects are gone.
    virtual void OnThreadExit(void* value) noexcept = 0;
    // A fork() begins, on this thread; the owner brings itself into a state that the child can use.
    virtual void BeforeFork() noexcept {}
    // It is over, on the same thread. Where `in_child`, there is no other.
    virtual void AfterFork([[maybe_unused]] bool in_child) noexcept {}

   protected:
    ~Owner() = default;
  };

  explicit PerThread(Owner& owner) noexcept;
  // Forgets all values, which are the owner's to free. Returns when none of its hooks is under way.
  ~PerThread();

  PerThread(const PerThread&) = delete;
  PerThread& operator=(const PerThread&) = delete;

  // The calling thread's value; nullptr if it has none or the table has forgotten it.
  void* Find() const noexcept {
    void* value;
    return Find(&value) ? value : nullptr;
  }
  // The same with one test for the caller: true if it has one.
  bool Find(void** value) const noexcept {
    const Entry& entry = EntryOfThread();
    *value = entry.value;
    return entry.id == id_;
  }

  // The same without the table's help, which then knows the value again; nullptr if there is none.
  [[gnu::cold]] void* FindDisplaced() const noexcept;

  // Makes `value`, which is not null, the calling thread's, which has none yet. False if there is
  // no memory to remember it with.
  [[nodiscard]] bool Set(void* value) noexcept;

 private:
  static constexpr size_t kEntries = 32;

  struct Entry {
    uint64_t id;
    void* value;
  };
  struct Table {
    Entry entries[kEntries];
  };
  struct Records;

  struct Registry;

  // Found by its distance from the thread pointer, which is the same for all threads.
  Entry& EntryOfThread() const noexcept {
    return *reinterpret_cast<Entry*>(static_cast<std::byte*>(__builtin_thread_pointer()) +
                                     entry_offset_);
  }

  static Records* RecordsOfThread() noexcept;
  static void ThreadExits(void* records) noexcept;

  // Initial-exec, so that it has the same distance from every thread's pointer.
  // NOLINTNEXTLINE(readability-identifier-naming): taken for a local variable.
  static constinit thread_local Table table_ [[gnu::tls_model("initial-exec")]];

  // Set by the registry.
  uint64_t id_;
  size_t place_;
  ptrdiff_t entry_offset_;
  Owner& owner_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_PER_THREAD_H_
