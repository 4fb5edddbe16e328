// FixSections: tells when no thread is between looking a page's entry up and having it pinned.
// Internal to pool/buffer.
//
// Memory of entries that nobody needs is given back to the system. A thread that has found an
// entry and is about to pin it, or to take its pin back, must not find other memory there in
// between. So it says that it is inside with a plain store to a word of its own; who gives memory
// back first hides the entries, then has every processor pass a fence (membarrier(2)), and then
// looks whether any thread is inside. If one is it lets the memory be, for this time.
//
//   thread                                    who gives back
//     Inside inside(sections);                  hides the entries
//     looks up, pins, or takes back             if (sections.AllAreOutside()) gives back
//                                               otherwise shows them again
//
// Costs. To enter and to leave: a look at the thread's table (PerThread), and a store each.
//
// Threading. Any thread. A thread's first entrance takes a lock and may take memory; without
// memory, or where the system has no membarrier, AllAreOutside() is never true.
//
// Fork. In the child the other threads are gone, and count as outside.
#ifndef GRANARY_POOL_BUFFER_FIX_SECTIONS_H_
#define GRANARY_POOL_BUFFER_FIX_SECTIONS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "memory/per_thread.h"

namespace granary::buffer {

class FixSections final : private PerThread::Owner {
  // A thread's, in a cache line of its own.
  struct alignas(64) Flag {
    std::atomic<bool> is_inside = false;
  };

 public:
  FixSections() noexcept;
  ~FixSections();

  FixSections(const FixSections&) = delete;
  FixSections& operator=(const FixSections&) = delete;

  // From its construction to its end the calling thread is inside. Not one within another.
  class [[nodiscard]] Inside {
   public:
    [[gnu::always_inline]] explicit Inside(FixSections& sections) noexcept {
      void* flag;
      if (!sections.threads_.Find(&flag)) [[unlikely]] {
        flag = sections.FlagOfThread();
      }
      flag_ = static_cast<Flag*>(flag);
      flag_->is_inside.store(true, std::memory_order_relaxed);
      // The processor's order is forced by who looks.
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    [[gnu::always_inline]] ~Inside() {
      // Release: what was done inside is done.
      flag_->is_inside.store(false, std::memory_order_release);
    }

    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    Flag* flag_;
  };

  // True if every thread has been outside at some moment since the call began. Some microseconds.
  [[nodiscard]] bool AllAreOutside() noexcept;

 private:
  [[gnu::cold, gnu::noinline]] void* FlagOfThread() noexcept;

  void OnThreadExit(void* flag) noexcept override;
  void BeforeFork() noexcept override;
  void AfterFork(bool in_child) noexcept override;

  const bool can_tell_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Flag>> flags_;
  std::vector<Flag*> idle_;
  // Of all threads that could have none of their own: from the first one on, nobody can tell.
  Flag shared_;
  std::atomic<bool> is_shared_used_ = false;

  // Last: no hook runs once the rest is being destroyed.
  PerThread threads_{*this};
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_FIX_SECTIONS_H_
