// Arena: bump allocation for one thread, with a reset that costs a few stores.
//
// For data that dies together: a query's plan and rows, a memtable's nodes, a request's scratch. An
// allocation is a comparison and an addition; nothing is freed by itself; Reset() takes everything
// back at once and keeps the memory for the next use.
//
//   granary::Arena arena({.max_block_bytes = 256 << 10, .name = "sort"});
//   for (const Query& query : queries) {
//     Plan* plan = arena.Create<Plan>(query);                 // destroyed by Reset
//     std::string_view text = arena.Copy(query.text());
//     std::pmr::vector<Row> rows(&arena);                     // any pmr container
//     if (void* run = arena.TryAllocate(run_bytes, 64)) { ... }  // refusal is nullptr
//     ...
//     arena.Reset();
//   }
//
// When not: for objects that die one by one (RegionResource), for pages (PagePool), for allocations
// from many threads (ConcurrentArena).
//
// How it works. A block has two ends. Aligned requests bump the cursor at its low end up, byte
// strings bump the one at its high end down, so that neither pads the other. Blocks are linked
// forward and stay linked after a reset: the next use walks through them again without a call
// upstream. An object that is larger than an eighth of the next block and does not fit the current
// one stands aside in a block of its own (LargeObjects), so that no more than an eighth of a block
// is ever lost to its tail; only where less than 1/32 of the current block is left does a large
// object open the next block.
//
// Costs. An allocation of constant size: at most 8 instructions, 1 store, 1 branch, inlined (a test
// disassembles it). Reset: a few stores whatever was allocated, and the cleanups. Mark and rewind:
// O(1), and the cleanups. Upstream is called only for a new block, a large object, and surplus at a
// reset.
//
// Threading. One owner thread at a time; a handover needs the synchronisation of any handover, and
// DisownThread() where checks are on. Upstream is called on the owner's thread.
//
// Errors. Every allocation comes twice: `Try...` returns nullptr on refusal and leaves the arena as
// it was, the other throws BudgetExceeded or std::bad_alloc. Misuse that costs a constant to detect
// (a rewind to a position that is ahead) aborts with a report in every build; under Checks::kOn,
// the default of debug and sanitizer builds, so do a write behind a reset or rewind, a write past
// an object's end by one byte, a call from a thread that is not the owner, and marks that are not
// nested.
//
// Sources: the two-ended block is RocksDB's, blocks kept on reset are Impala's MemPool, cleanups in
// the arena's own memory are protobuf's.
#ifndef GRANARY_ARENA_ARENA_H_
#define GRANARY_ARENA_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "arena/arena_checker.h"
#include "arena/arena_options.h"
#include "arena/block_list.h"
#include "arena/demand.h"
#include "arena/large_objects.h"
#include "memory/memory_resource.h"

namespace granary {

class ArenaProgress;
class ArenaMark;

class Arena final : public MemoryResource {
 public:
  // The largest alignment it serves: a huge page's. Above kDefaultAlignment the padding is memory
  // used.
  static constexpr size_t kMaxAlignment = size_t{2} << 20;
  // Bytes of a block that are not payload.
  static constexpr size_t kBlockHeaderBytes = sizeof(BlockLink);

  // An arena that holds nothing: no memory is taken before the first allocation. Options that do
  // not pass ArenaOptions::Validate() are misuse: a report and std::abort.
  explicit Arena(const ArenaOptions& options = {}) noexcept;

  // The same with a first block that the caller gives and that outlives the arena: a use that fits
  // it never calls upstream. A block too small to be of use (under 64 bytes) is left alone.
  explicit Arena(std::span<std::byte> first_block, const ArenaOptions& options = {}) noexcept;

  // Runs the cleanups and gives every block back.
  ~Arena() override;

  // --- Memory -----------------------------------------------------------------------------------

  // `bytes` of uninitialised memory; alignment 1 is a byte string. No size is rounded.
  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override;
  [[nodiscard]] void* TryAllocate(size_t bytes) noexcept {
    return TryAllocate(bytes, kDefaultAlignment);
  }
  [[nodiscard]] void* allocate(size_t bytes, size_t alignment = kDefaultAlignment);

  // `bytes` of memory without alignment, from the block's other end.
  [[nodiscard]] void* TryAllocateBytes(size_t bytes) noexcept;
  [[nodiscard]] void* AllocateBytes(size_t bytes);

  // Does nothing: memory comes back at Reset or Rewind. Here so that a call through Arena is no
  // call.
  void deallocate(void*, size_t, size_t = kDefaultAlignment) noexcept {}

  // Grows the newest aligned allocation, or the newest large object, where it stands; false, and
  // nothing has changed, if another one came after it or there is no room. `alignment` is the
  // allocation's.
  [[nodiscard]] bool TryExtend(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment = kDefaultAlignment) noexcept {
    return new_bytes >= old_bytes && TryResize(p, old_bytes, new_bytes, alignment);
  }

  // Gives the end of the newest aligned allocation back to the block; false, and nothing has
  // changed, if another one came after it.
  bool ShrinkLast(void* p, size_t old_bytes, size_t new_bytes,
                  size_t alignment = kDefaultAlignment) noexcept {
    return new_bytes <= old_bytes && TryResize(p, old_bytes, new_bytes, alignment);
  }

  // Both of the above as the interface has it.
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override;

  // --- Objects ----------------------------------------------------------------------------------

  // A T, constructed from `arguments`. Its destructor, if it does anything, runs at Reset, Rewind
  // or the arena's end, in reverse order of construction; it costs a record of 24 bytes beside the
  // object. If the constructor throws, nothing is registered and the memory stays until then.
  template <class T, class... Arguments>
  T* Create(Arguments&&... arguments);
  template <class T, class... Arguments>
  [[nodiscard]] T* TryCreate(Arguments&&... arguments);

  // `count` value-initialised Ts, destroyed like one object, the last first.
  template <class T>
  std::span<T> CreateArray(size_t count);
  // As a pointer to the first, nullptr on refusal.
  template <class T>
  [[nodiscard]] T* TryCreateArray(size_t count);

  // The characters of `text`, in the arena; not null-terminated.
  std::string_view Copy(std::string_view text);
  // As a pointer to the first, nullptr on refusal.
  [[nodiscard]] char* TryCopy(std::string_view text) noexcept;

  // Calls `run(object)` at Reset, Rewind or the arena's end, in reverse order of registration.
  void Defer(void (*run)(void*), void* object);
  [[nodiscard]] bool TryDefer(void (*run)(void*), void* object) noexcept;

  // --- Taking back ------------------------------------------------------------------------------

  // Runs the cleanups, takes every allocation back, and keeps blocks as the options' retention
  // says. O(1) beside the cleanups while what is held is within the retention; giving surplus back
  // walks over the blocks that are kept and costs what upstream takes.
  void Reset() noexcept;
  // The same with another retention, this once.
  void Reset(Retention retention) noexcept;

  // Remembers how far the arena has been filled.
  [[nodiscard]] ArenaMark Mark() noexcept;
  // Takes everything back that was allocated since the mark, cleanups first, and keeps the blocks.
  // The mark may be rewound to again. Marks are nested: a rewind ends all marks that are younger
  // than its own, and a Reset all marks.
  void Rewind(const ArenaMark& mark) noexcept;

  // Makes everything that lives in `other` live here: its objects, large objects and cleanups
  // (which run as if registered now), and the blocks they are in. No byte moves; O(1). `other` is
  // then empty and keeps its retained blocks. False, and nothing has changed, if the two have
  // different upstreams or checks, or if `other` has live data in a block that its caller gave. A
  // mark of `other` ends.
  [[nodiscard]] bool Absorb(Arena&& other) noexcept;

  // Gives retained blocks back upstream, without touching what lives; returns their bytes.
  size_t Trim() noexcept override;

  // --- Questions --------------------------------------------------------------------------------

  // Bytes that can still be allocated without leaving the current block.
  size_t Headroom() const noexcept;
  // True if `p` points into a block in use or a live large object. Walks over them.
  bool Contains(const void* p) const noexcept;
  // Bytes in the three senses of the interface; DetailedStats has the rest. O(1).
  MemoryStats Stats() const noexcept override;
  ArenaStats DetailedStats() const noexcept;

  const char* name() const noexcept { return name_; }
  MemoryResource& upstream() const noexcept { return *upstream_; }
  Retention retention() const noexcept { return retention_; }
  bool checked() const noexcept { return checked_; }

  // Throws what upstream throws for a refusal, or std::bad_alloc for a request that nobody could
  // serve.
  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override;

  // The next thread that uses the arena becomes its owner. Means something under Checks::kOn only.
  void DisownThread() noexcept { checker_.Disown(); }

 private:
  friend class ArenaMark;
  friend class ArenaScope;
  // Its lanes are arenas: it makes objects in memory that it has from one, and runs the cleanups of
  // all before it takes anything back.
  friend class ConcurrentArena;

  using Cursor = BumpCursor;

  // What runs when its object goes: stands behind the object, in the arena.
  struct Cleanup {
    Cleanup* next;
    void (*run)(void*);
    void* object;
  };
  struct ArrayCleanup : Cleanup {
    size_t count;
  };

  // What Create asks for: the object, and its cleanup behind it where it needs one.
  template <class T>
  struct ObjectLayout {
    static constexpr bool kHasCleanup = !std::is_trivially_destructible_v<T>;
    static constexpr size_t kCleanupOffset = AlignUp(sizeof(T), alignof(Cleanup));
    static constexpr size_t kBytes = kHasCleanup ? kCleanupOffset + sizeof(Cleanup) : sizeof(T);
    static constexpr size_t kAlignment =
        kHasCleanup && alignof(T) < alignof(Cleanup) ? alignof(Cleanup) : alignof(T);
  };
  // The same for CreateArray. A count whose size would overflow asks for more than anybody has.
  template <class T>
  struct ArrayLayout {
    static constexpr bool kHasCleanup = !std::is_trivially_destructible_v<T>;
    static constexpr size_t kAlignment =
        kHasCleanup && alignof(T) < alignof(ArrayCleanup) ? alignof(ArrayCleanup) : alignof(T);
    static constexpr size_t CleanupOffset(size_t count) noexcept {
      return AlignUp(count * sizeof(T), alignof(ArrayCleanup));
    }
    static constexpr size_t Bytes(size_t count) noexcept {
      if (count > (size_t{PTRDIFF_MAX} - sizeof(ArrayCleanup)) / sizeof(T)) return SIZE_MAX;
      return kHasCleanup ? CleanupOffset(count) + sizeof(ArrayCleanup) : count * sizeof(T);
    }
  };
  // Constructs in `memory`, which the layout's request gave, and registers the cleanup.
  template <class T, class... Arguments>
  T* CreateIn(void* memory, Arguments&&... arguments);
  template <class T>
  T* CreateArrayIn(void* memory, size_t count);

  // Where the arena stands besides the cursor and what it has left behind to get there.
  struct Place {
    // The current block, and of the blocks in use before it (without absorbed ones) the number, the
    // payload, and what of that was left unused.
    BlockLink* block = nullptr;
    size_t passed_count = 0;
    size_t passed_bytes = 0;
    size_t tail_bytes = 0;
    // What the arena has beside its chain of blocks. All of it is empty unless reset_is_slow_.
    Cleanup* newest_cleanup = nullptr;
    BlockList::Position absorbed;
    size_t absorbed_asked_bytes = 0;
    LargeObjects::Position large;
    const void* newest_checked = nullptr;
  };

  // Slow paths, in the order in which they come.
  void* AllocateSlow(size_t bytes, size_t alignment) noexcept;
  void* AllocateUnchecked(size_t bytes, size_t alignment) noexcept;
  void* AllocateChecked(size_t bytes, size_t alignment) noexcept;
  void* TryCursor(size_t bytes, size_t alignment) noexcept;
  bool EnterNextBlock(size_t payload_bytes) noexcept;
  BlockLink* AcquireBlock(size_t payload_bytes) noexcept;
  bool IsLarge(size_t bytes) const noexcept;
  void Publish() const noexcept;
  bool ResizeUnchecked(void* p, size_t old_bytes, size_t new_bytes, size_t alignment) noexcept;
  bool ResizeAtCursor(void* p, size_t old_bytes, size_t new_bytes) noexcept;
  bool ResizeChecked(void* p, size_t old_bytes, size_t new_bytes, size_t alignment) noexcept;

  void ResetSlow(Retention retention) noexcept;
  bool RewindCursor(const ArenaMark& mark) noexcept;
  // A rewind to a mark that nobody will use again.
  void End(const ArenaMark& mark) noexcept;
  void RewindSlow(const ArenaMark& mark, bool drop) noexcept;
  bool IsAhead(const ArenaMark& mark) const noexcept;
  void RunCleanupsUntil(const Cleanup* oldest_to_keep) noexcept;
  void KeepAtMost(size_t bytes) noexcept;
  void GiveBack(const BlockChain& chain) noexcept;
  void StandAtFirstBlock() noexcept;
  void FirstBlockChanged() noexcept;
  void AppendBlocks(const BlockChain& chain) noexcept;
  void CutBlocksBehind(const BlockList::Position& position) noexcept;
  static Cursor WholeOf(BlockLink* block) noexcept;
  LargeObjects::BlockHook StaleHook() const noexcept {
    return checked_ ? &ArenaChecker::Stale : nullptr;
  }

  BlockLink* NextBlock() const noexcept {
    return place_.block != nullptr ? place_.block->next : first_block_;
  }
  size_t NextPayloadBytes() const noexcept;
  size_t CursorUsedBytes() const noexcept;
  size_t BlocksInUseBytes() const noexcept;
  size_t AskedBytes() const noexcept;
  size_t UsedBytes() const noexcept;
  size_t HeldBytes() const noexcept;
  Cursor& RealCursor() noexcept { return checked_ ? checked_cursor_ : cursor(); }
  const Cursor& RealCursor() const noexcept { return checked_ ? checked_cursor_ : cursor(); }

  void do_deallocate(void*, size_t, size_t) override {}
  void Register(Cleanup* cleanup, void (*run)(void*), void* object) noexcept;

  // The vtable pointer, the cursor, and what a Reset within the first block needs share a cache
  // line.
  bool checked_ = false;
  // Anything has happened that a Reset has to undo beyond the cursor.
  bool reset_is_slow_ = false;
  Cursor first_cursor_;
  BlockLink* first_block_ = nullptr;
  Place place_;

  MemoryResource* upstream_;
  BlockList blocks_;
  // Blocks that Absorb brought, in use until Reset makes them ours for good.
  BlockList absorbed_;
  LargeObjects large_;
  Cleanup* oldest_cleanup_ = nullptr;
  BlockLink* given_block_ = nullptr;
  size_t first_block_bytes_;
  size_t max_block_bytes_;
  size_t growth_divisor_;
  Retention retention_;
  Demand demand_;
  const char* name_;
  // Where other threads read how far the arena is; nullptr: nobody asks.
  ArenaProgress* progress_ = nullptr;
  Cursor checked_cursor_;
  ArenaChecker checker_;
};

// How far an arena had been filled. A value; it outlives nothing and owns nothing.
class ArenaMark {
 private:
  friend class Arena;
  friend class ArenaScope;
  const Arena* arena_ = nullptr;
  Arena::Cursor cursor_;
  Arena::Place place_;
  uint64_t serial_ = 0;
};

// --- Implementation -----------------------------------------------------------------------------

namespace arena_internal {

// Braces where parentheses do not do: clang learned to fill an aggregate from parentheses in its
// 16th version only.
template <class T, class... Arguments>
T* ConstructAt(void* memory, Arguments&&... arguments) {
  if constexpr (std::is_constructible_v<T, Arguments...>) {
    return ::new (memory) T(std::forward<Arguments>(arguments)...);
  } else {
    return ::new (memory) T{std::forward<Arguments>(arguments)...};
  }
}

}  // namespace arena_internal

template <class T, class... Arguments>
T* Arena::CreateIn(void* memory, Arguments&&... arguments) {
  T* const object = arena_internal::ConstructAt<T>(memory, std::forward<Arguments>(arguments)...);
  if constexpr (ObjectLayout<T>::kHasCleanup) {
    Register(
        ::new (static_cast<std::byte*>(memory) + ObjectLayout<T>::kCleanupOffset) Cleanup,
        [](void* p) { static_cast<T*>(p)->~T(); }, object);
  }
  return object;
}

template <class T, class... Arguments>
T* Arena::TryCreate(Arguments&&... arguments) {
  void* const memory = TryAllocate(ObjectLayout<T>::kBytes, ObjectLayout<T>::kAlignment);
  if (memory == nullptr) [[unlikely]]
    return nullptr;
  return CreateIn<T>(memory, std::forward<Arguments>(arguments)...);
}

template <class T, class... Arguments>
T* Arena::Create(Arguments&&... arguments) {
  T* const object = TryCreate<T>(std::forward<Arguments>(arguments)...);
  if (object == nullptr) [[unlikely]]
    ThrowRefusal(sizeof(T), alignof(T));
  return object;
}

template <class T>
T* Arena::CreateArrayIn(void* memory, size_t count) {
  T* const array = static_cast<T*>(memory);
  std::uninitialized_value_construct_n(array, count);
  if constexpr (ArrayLayout<T>::kHasCleanup) {
    auto* const cleanup =
        ::new (static_cast<std::byte*>(memory) + ArrayLayout<T>::CleanupOffset(count)) ArrayCleanup;
    cleanup->count = count;
    // The record is what it is told of: it knows the count, and so where the array stands below it.
    Register(
        cleanup,
        [](void* p) {
          auto* const self = static_cast<ArrayCleanup*>(p);
          T* const first = reinterpret_cast<T*>(reinterpret_cast<std::byte*>(self) -
                                                ArrayLayout<T>::CleanupOffset(self->count));
          for (size_t i = self->count; i > 0; --i) first[i - 1].~T();
        },
        cleanup);
  }
  return array;
}

template <class T>
T* Arena::TryCreateArray(size_t count) {
  void* const memory = TryAllocate(ArrayLayout<T>::Bytes(count), ArrayLayout<T>::kAlignment);
  if (memory == nullptr) [[unlikely]]
    return nullptr;
  return CreateArrayIn<T>(memory, count);
}

template <class T>
std::span<T> Arena::CreateArray(size_t count) {
  T* const array = TryCreateArray<T>(count);
  if (array == nullptr) [[unlikely]]
    ThrowRefusal(count > SIZE_MAX / sizeof(T) ? SIZE_MAX : count * sizeof(T), alignof(T));
  return {array, count};
}

inline void Arena::Register(Cleanup* cleanup, void (*run)(void*), void* object) noexcept {
  cleanup->next = place_.newest_cleanup;
  cleanup->run = run;
  cleanup->object = object;
  if (place_.newest_cleanup == nullptr) oldest_cleanup_ = cleanup;
  place_.newest_cleanup = cleanup;
  reset_is_slow_ = true;
}

inline size_t Arena::Headroom() const noexcept { return RealCursor().room(); }

inline void Arena::Reset() noexcept {
  if (reset_is_slow_) [[unlikely]] {
    ResetSlow(retention_);
    return;
  }
  cursor() = first_cursor_;
  place_.block = first_block_;
  place_.passed_count = 0;
  place_.passed_bytes = 0;
  place_.tail_bytes = 0;
}

// Whether the arena stands before the mark, in the order in which it fills: the mark is dead.
inline bool Arena::IsAhead(const ArenaMark& mark) const noexcept {
  const Cursor& now = RealCursor();
  return mark.arena_ != this || mark.place_.passed_count > place_.passed_count ||
         mark.place_.large.count > place_.large.count ||
         mark.place_.absorbed.count > place_.absorbed.count ||
         (mark.place_.block == place_.block &&
          (mark.cursor_.last > now.last || mark.cursor_.high < now.high));
}

// Within one block, and with nothing but bumps since the mark, a rewind is the cursor's.
inline bool Arena::RewindCursor(const ArenaMark& mark) noexcept {
  if (checked_ || place_.block != mark.place_.block ||
      place_.newest_cleanup != mark.place_.newest_cleanup ||
      place_.large.count != mark.place_.large.count ||
      place_.absorbed.count != mark.place_.absorbed.count || IsAhead(mark)) [[unlikely]] {
    return false;
  }
  cursor() = mark.cursor_;
  return true;
}

inline void Arena::Rewind(const ArenaMark& mark) noexcept {
  if (!RewindCursor(mark)) RewindSlow(mark, /*drop=*/false);
}

inline void Arena::End(const ArenaMark& mark) noexcept {
  if (!RewindCursor(mark)) RewindSlow(mark, /*drop=*/true);
}

inline void* Arena::allocate(size_t bytes, size_t alignment) {
  void* const p = TryAllocate(bytes, alignment);
  if (p == nullptr) [[unlikely]]
    ThrowRefusal(bytes, alignment);
  return p;
}

inline void* Arena::AllocateBytes(size_t bytes) {
  void* const p = TryAllocateBytes(bytes);
  if (p == nullptr) [[unlikely]]
    ThrowRefusal(bytes, 1);
  return p;
}

// The hot paths; BumpCursor has their counts. Under Checks::kOn the cursor that they see is empty.

[[gnu::always_inline]] inline void* Arena::TryAllocate(size_t bytes, size_t alignment) noexcept {
  return cursor().Take(bytes, alignment, [=, this] { return AllocateSlow(bytes, alignment); });
}

[[gnu::always_inline]] inline void* Arena::TryAllocateBytes(size_t bytes) noexcept {
  return cursor().TakeBytes(bytes, [=, this] { return AllocateSlow(bytes, 1); });
}

}  // namespace granary

#endif  // GRANARY_ARENA_ARENA_H_
