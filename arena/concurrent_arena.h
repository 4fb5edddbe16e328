// ConcurrentArena: bump allocation from many threads, taken back all at once.
//
// For what several workers make together and what dies together: the rows of a parallel query, the
// nodes of a memtable with many writers. Each thread has a lane: an Arena of its own, from which
// the thread allocates without waiting for anybody.
//
//   granary::ConcurrentArena arena({.name = "hash join"});
//   // Any thread, when it likes:
//   Row* row = arena.Create<Row>(key, value);
//   // A worker with much to do holds its lane and runs exactly the Arena's path:
//   granary::ConcurrentArena::Lane& lane = arena.ThisLane();
//   for (const Row& input : batch) lane.Create<Row>(input);
//   // When all workers are done:
//   arena.Reset();
//
// When not: where each worker's memory has an end of life of its own (an Arena for each), for
// objects that die one by one (RegionResource), for pages (PagePool).
//
// Lanes. A thread gets its lane with its first allocation and finds it again in a thread-local
// table, so that it may use up to 32 arenas by turns at the same cost. When a thread ends, what it
// made stays, and the lane goes to the next new thread: there are as many lanes as there were
// threads at once. A thread that cannot remember a lane (there is no memory for that, or it is in
// the last moments of its end) borrows one for each call.
//
// Space. Nothing is held before the first allocation. A lane and its first block are one piece of
// first_block_bytes; each later block has 1/14 of what the lane holds. So what lies free in
// the lanes is never more than 1/14 of what is used and first_block_bytes for each lane; retained
// memory comes on top, as the retention says. With what is lost to the ends of blocks and to
// headers, lanes of a quarter MiB and more hold less than 1/8 and a KiB above what was asked for,
// whatever the sizes; smaller ones up to 1/4 and 2 KiB, where objects have about half of
// first_block_bytes (tests look after every allocation).
//
// Costs. An allocation of constant size: at most 16 instructions, 1 store, 2 branches, inlined, no
// atomic operation (a test disassembles it); through a held lane the Arena's 8. A new block is what
// upstream takes, a relaxed addition and two relaxed stores; there is no lock on that way. A
// thread's first allocation and its end take a lock for a few instructions. Reset: that of an Arena
// for each lane.
//
// Threading. Any thread may allocate, and ask for Stats, at any time. A lane belongs to its thread:
// nobody else may use it, nor hold it beyond the thread's end. Reset, DetailedStats and the
// destructor need that no other thread is in a call, and that those calls happened before (threads
// may end while they run). Upstream is called by any thread, under no lock of the arena's: it takes
// calls from all, as MallocResource does and pools do.
//
// Fork. The child may go on with the arena at once: the thread that forked has its lane, new
// threads get others. The lanes of the threads that the child does not have stay as they are, until
// Reset or the destructor takes them back as well, which need that these threads were in no call
// when the process was forked.
//
// Errors. As Arena: refusals are nullptr or an exception and leave everything as it was. Under
// Checks::kOn the lanes check as arenas do, that only its own thread uses a lane too. In every
// build, two resets at once, and a new block or lane during another thread's reset, abort with a
// report.
//
// Sources: the lane remembered for each thread by an id that is never used again is protobuf's.
#ifndef GRANARY_ARENA_CONCURRENT_ARENA_H_
#define GRANARY_ARENA_CONCURRENT_ARENA_H_

#include <atomic>
#include <boost/intrusive/slist.hpp>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>

#include "arena/arena.h"
#include "arena/arena_options.h"
#include "arena/arena_progress.h"
#include "arena/lane_source.h"
#include "memory/memory_resource.h"
#include "memory/per_thread.h"

namespace granary {

struct ConcurrentArenaOptions {
  // What a thread's first allocation takes from upstream, the lane itself included, and the least
  // that a later block takes. 1 KiB <= first_block_bytes <= max_block_bytes <= 1 GiB. On an
  // upstream that has blocks of one size (a page pool) all of them are those.
  size_t first_block_bytes = 1024;
  size_t max_block_bytes = size_t{1} << 20;
  // What Reset() keeps beside the lanes with their first blocks. A number of bytes is that of all
  // lanes together; the adaptive retention follows what each lane's uses take.
  Retention retention = Retention::Adaptive();
  // Where memory comes from; takes calls from any thread and outlives the arena. nullptr is
  // MallocResource::Default().
  MemoryResource* upstream = nullptr;
  // For reports; must outlive the arena.
  const char* name = "concurrent arena";
  Checks checks = Checks::kByBuild;

  // An error that names the option at fault, or nothing.
  Expected<void> Validate() const;
};

class ConcurrentArena final : public MemoryResource, private PerThread::Owner {
 public:
  // A lane is an arena in full. What it takes back it takes back for its thread alone: a mark
  // rewinds what the thread made since. Resets are the ConcurrentArena's, as a lane may have been
  // another thread's before and still have what that one made.
  using Lane = Arena;

  static constexpr size_t kMaxAlignment = Arena::kMaxAlignment;
  // A lane's next block has this part of what the lane holds: as much as leaves an eighth for all
  // that is lost, whatever the sizes.
  static constexpr size_t kGrowthDivisor = 14;

  // Holds nothing. Options that do not pass Validate() are misuse: a report and std::abort.
  explicit ConcurrentArena(const ConcurrentArenaOptions& options = {}) noexcept;

  // Runs the cleanups and gives everything back. No other thread is in a call; threads that have
  // used the arena may live on, and may end meanwhile.
  ~ConcurrentArena() override;

  // --- Lanes ------------------------------------------------------------------------------------

  // The calling thread's lane: the same one until the thread or the arena ends, across resets.
  // Throws as a refused allocation does, also where there is no memory to remember the lane with.
  Lane& ThisLane();
  // The same, nullptr on refusal.
  [[nodiscard]] Lane* TryThisLane() noexcept;

  // --- Memory -----------------------------------------------------------------------------------

  // As Arena's functions of the same names, from the calling thread's lane.
  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override;
  [[nodiscard, gnu::always_inline]] void* TryAllocate(size_t bytes) noexcept {
    return TryAllocate(bytes, kDefaultAlignment);
  }
  [[nodiscard]] void* allocate(size_t bytes, size_t alignment = kDefaultAlignment);
  [[nodiscard]] void* TryAllocateBytes(size_t bytes) noexcept;
  [[nodiscard]] void* AllocateBytes(size_t bytes);
  void deallocate(void*, size_t, size_t = kDefaultAlignment) noexcept {}

  // Of the newest allocation of the calling thread.
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override;

  // --- Objects ----------------------------------------------------------------------------------

  // As Arena's. Cleanups run on the thread that calls Reset or the destructor: lane by lane, within
  // a lane the newest first, and all of them before any memory is taken back. They may allocate
  // here.
  template <class T, class... Arguments>
  T* Create(Arguments&&... arguments);
  template <class T, class... Arguments>
  [[nodiscard]] T* TryCreate(Arguments&&... arguments);
  template <class T>
  std::span<T> CreateArray(size_t count);
  template <class T>
  [[nodiscard]] T* TryCreateArray(size_t count);
  std::string_view Copy(std::string_view text);
  [[nodiscard]] char* TryCopy(std::string_view text) noexcept;
  void Defer(void (*run)(void*), void* object);
  [[nodiscard]] bool TryDefer(void (*run)(void*), void* object) noexcept;

  // --- Taking back ------------------------------------------------------------------------------

  // Runs the cleanups, takes every allocation of every thread back, and keeps blocks as the
  // retention says. Lanes stay with their threads. No other thread is in a call.
  void Reset() noexcept { Reset(retention_); }
  // The same with another retention, this once.
  void Reset(Retention retention) noexcept;

  // Gives back what is retained in the calling thread's lane and in those of threads that have
  // ended; returns the bytes. Any thread, at any time.
  size_t Trim() noexcept override;

  // --- Questions --------------------------------------------------------------------------------

  // held_bytes is exact. The others are exact for the calling thread and for threads that have
  // ended; of other threads they are those of the moment when the thread last entered a block or
  // took a large object, so that up to a block each may be missing. Lanes count as used. Any thread
  // at any time, except that one which has a lane counts as being in a call. Blocks nobody.
  MemoryStats Stats() const noexcept override;
  // Everything, exactly. No other thread is in a call.
  ArenaStats DetailedStats() const noexcept;
  // The most threads that have been in it at once, or a few more: a free lane is out of reach while
  // Trim has it.
  size_t lane_count() const noexcept;

  const char* name() const noexcept { return lane_options_.name; }
  MemoryResource& upstream() const noexcept { return source_.upstream(); }
  Retention retention() const noexcept { return retention_; }

  // As Arena's.
  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override;

 private:
  friend class ConcurrentArenaPeer;

  // A lane with what it takes to share it. A thread's cursor is on a cache line that no other
  // thread's is on.
  //
  //            it has served        its thread ends
  //   kNew -----------------> kInUse ------------> kFree
  //                           |    ^               |   ^
  //       fork, in the child: |    `---------------'   |
  //       its thread is not   |   the next thread's    |
  //       there               |   first allocation     | Reset
  //                           `------> kOrphaned ------'
  enum class LaneState : uint8_t { kNew, kInUse, kFree, kOrphaned };
  // Lists let go of lanes that are gone without touching them: a thread may free its lane until the
  // arena's very end.
  using FreeLaneHook = boost::intrusive::slist_member_hook<
      boost::intrusive::link_mode<boost::intrusive::normal_link>>;
  struct alignas(64) LaneRecord {
    LaneRecord(std::span<std::byte> first_block, const ArenaOptions& options) noexcept
        : arena(first_block, options) {
      arena.progress_ = &progress;
    }

    // First, so that the hot path has no offset to add.
    Lane arena;
    ArenaProgress progress;
    FreeLaneHook free_hook;
    // Constant once the lane is in the list.
    LaneRecord* older = nullptr;
    // What upstream gave for it.
    void* piece = nullptr;
    // Bytes of that which are not the first block.
    size_t overhead_bytes = 0;
    // Guarded by the arena's mutex, but for a new one, of which nobody knows.
    LaneState state = LaneState::kNew;
  };
  using FreeLanes = boost::intrusive::slist<
      LaneRecord, boost::intrusive::member_hook<LaneRecord, FreeLaneHook, &LaneRecord::free_hook>,
      boost::intrusive::cache_last<true>>;

  // All lanes, from the newest on. A list that only grows, so that readers need no lock.
  class LaneList {
   public:
    LaneList(LaneSource& source, size_t piece_bytes) noexcept
        : source_(source), piece_bytes_(piece_bytes) {}
    ~LaneList();

    // A lane that is not in the list yet, nullptr on refusal; and the end of one.
    LaneRecord* Make(const ArenaOptions& options) noexcept;
    void Destroy(LaneRecord* lane) noexcept;

    // One thread at a time. Release, with the acquire of newest(): who finds a lane finds it whole.
    void Push(LaneRecord* lane) noexcept {
      lane->older = newest_.load(std::memory_order_relaxed);
      newest_.store(lane, std::memory_order_release);
    }
    LaneRecord* newest() const noexcept { return newest_.load(std::memory_order_acquire); }

   private:
    LaneSource& source_;
    // What a lane and its first block take.
    const size_t piece_bytes_;
    std::atomic<LaneRecord*> newest_{nullptr};
  };

  struct Leased {
    LaneRecord* lane = nullptr;
    void* memory = nullptr;
    bool borrowed = false;
  };
  // Memory from the calling thread's lane, and the lane for as long as the object is being made:
  // inlined where the thread has one, and otherwise with a new, free or borrowed one.
  class Lease {
   public:
    [[gnu::always_inline]] Lease(ConcurrentArena& arena, size_t bytes, size_t alignment) noexcept
        : arena_(arena) {
      if (void* lane; arena.per_thread_.Find(&lane)) [[likely]] {
        what_.lane = static_cast<LaneRecord*>(lane);
        what_.memory = what_.lane->arena.TryAllocate(bytes, alignment);
      } else {
        what_ = arena.AcquireSlow(bytes, alignment);
      }
    }
    [[gnu::always_inline]] ~Lease() {
      if (what_.borrowed) [[unlikely]]
        arena_.TakeBack(what_.lane);
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    // nullptr on refusal; there may be no lane then.
    void* memory() const noexcept { return what_.memory; }
    Lane* lane() const noexcept { return &what_.lane->arena; }

   private:
    ConcurrentArena& arena_;
    Leased what_;
  };

  Leased AcquireSlow(size_t bytes, size_t alignment) noexcept;
  void* AllocateSlow(size_t bytes, size_t alignment) noexcept;
  LaneRecord* FindLane() const noexcept;
  // A free lane, or a new one, for the calling thread; nullptr on refusal.
  LaneRecord* TakeLane() noexcept;
  // It has served, or will: it stays until the arena's end.
  void Settle(LaneRecord* lane) noexcept;
  // A free lane again, or none again if it was new.
  void TakeBack(LaneRecord* lane) noexcept;
  void FreeLocked(LaneRecord* lane) noexcept;
  void RunCleanups() noexcept;
  void ResetLanes(Retention retention) noexcept;
  bool CouldServe(size_t bytes, size_t alignment) const noexcept;

  void do_deallocate(void*, size_t, size_t) override {}

  void OnThreadExit(void* lane) noexcept override;
  void BeforeFork() noexcept override;
  void AfterFork(bool in_child) noexcept override;

  const Retention retention_;
  ArenaOptions lane_options_;
  LaneSource source_;

  // Guards the free lanes, the lanes' states and the list's growth; PerThread's hooks take it, so
  // that nothing outside is called under it.
  mutable std::mutex mutex_;
  FreeLanes free_lanes_;

  // In this order: no thread ends into lanes that are gone.
  LaneList lanes_;
  PerThread per_thread_;
};

// --- Implementation -----------------------------------------------------------------------------

template <class T, class... Arguments>
T* ConcurrentArena::TryCreate(Arguments&&... arguments) {
  using Layout = Arena::ObjectLayout<T>;
  const Lease lease(*this, Layout::kBytes, Layout::kAlignment);
  if (lease.memory() == nullptr) [[unlikely]]
    return nullptr;
  return lease.lane()->template CreateIn<T>(lease.memory(), std::forward<Arguments>(arguments)...);
}

template <class T, class... Arguments>
T* ConcurrentArena::Create(Arguments&&... arguments) {
  T* const object = TryCreate<T>(std::forward<Arguments>(arguments)...);
  if (object == nullptr) [[unlikely]]
    ThrowRefusal(sizeof(T), alignof(T));
  return object;
}

template <class T>
T* ConcurrentArena::TryCreateArray(size_t count) {
  using Layout = Arena::ArrayLayout<T>;
  const Lease lease(*this, Layout::Bytes(count), Layout::kAlignment);
  if (lease.memory() == nullptr) [[unlikely]]
    return nullptr;
  return lease.lane()->template CreateArrayIn<T>(lease.memory(), count);
}

template <class T>
std::span<T> ConcurrentArena::CreateArray(size_t count) {
  T* const array = TryCreateArray<T>(count);
  if (array == nullptr) [[unlikely]]
    ThrowRefusal(count > SIZE_MAX / sizeof(T) ? SIZE_MAX : count * sizeof(T), alignof(T));
  return {array, count};
}

inline void* ConcurrentArena::allocate(size_t bytes, size_t alignment) {
  void* const p = TryAllocate(bytes, alignment);
  if (p == nullptr) [[unlikely]]
    ThrowRefusal(bytes, alignment);
  return p;
}

inline void* ConcurrentArena::AllocateBytes(size_t bytes) {
  void* const p = TryAllocateBytes(bytes);
  if (p == nullptr) [[unlikely]]
    ThrowRefusal(bytes, 1);
  return p;
}

// The hot paths: the thread's lane, and there the Arena's path.

[[gnu::always_inline]] inline void* ConcurrentArena::TryAllocate(size_t bytes,
                                                                 size_t alignment) noexcept {
  void* lane;
  if (!per_thread_.Find(&lane)) [[unlikely]]
    return AllocateSlow(bytes, alignment);
  return static_cast<LaneRecord*>(lane)->arena.TryAllocate(bytes, alignment);
}

[[gnu::always_inline]] inline void* ConcurrentArena::TryAllocateBytes(size_t bytes) noexcept {
  void* lane;
  if (!per_thread_.Find(&lane)) [[unlikely]]
    return AllocateSlow(bytes, 1);
  return static_cast<LaneRecord*>(lane)->arena.TryAllocateBytes(bytes);
}

}  // namespace granary

#endif  // GRANARY_ARENA_CONCURRENT_ARENA_H_
