// SharedCompactingHeap: a CompactingHeap for any number of threads.
//
// The same functions, under one lock, which a defragmentation gives up after every 64 KiB, as a
// MoveBudget::Step has them: so nobody waits for more than that, or for one block if it is larger
// and cannot be moved in parts.
// Read, Write, Fill and Assign copy under the lock; for large blocks a pin is better, whose bytes
// are the caller's to order among threads.
//
// What is called without the lock: the MoveObserver, constructors and destructors of typed objects,
// which all may call the heap. Under it: a Relocation, and `visit` of ForEachPiece, which may not.
//
// Costs. CompactingHeap's, and a lock. One thread defragments at a time: to others Defragment says
// kBusy at once.
//
// Errors. CompactingHeap's.
#ifndef GRANARY_MEMORY_REGION_SHARED_COMPACTING_HEAP_H_
#define GRANARY_MEMORY_REGION_SHARED_COMPACTING_HEAP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <utility>

#include "memory/error.h"
#include "memory/region/compacting_heap.h"
#include "memory/region/heap_pin.h"
#include "memory/region/heap_types.h"
#include "memory/region/typed_handle.h"

namespace granary {

class SharedCompactingHeap final : private PinOwner {
 public:
  // As CompactingHeap's.
  static Expected<std::unique_ptr<SharedCompactingHeap>> Create(const HeapOptions& options);
  static Expected<std::unique_ptr<SharedCompactingHeap>> CreateOver(
      std::span<std::byte> memory, const HeapOptions& options = {});
  static Expected<std::unique_ptr<SharedCompactingHeap>> CreateOverOffsets(
      const HeapOptions& options);

  ~SharedCompactingHeap() override = default;

  // --- Blocks -----------------------------------------------------------------------------------

  Expected<BlockHandle> Allocate(uint64_t bytes, Placement placement = Placement::kContiguous,
                                 uint64_t alignment = 1);
  // Of two threads that free a block, one finds it stale.
  Expected<void> Free(BlockHandle block);
  bool IsLive(BlockHandle block) const;
  Expected<uint64_t> SizeOf(BlockHandle block) const;
  Expected<uint64_t> PiecesOf(BlockHandle block) const;
  Expected<void> ForEachPiece(BlockHandle block, const std::function<void(Range)>& visit) const;
  Expected<void> Gather(BlockHandle block);
  // The pin may end in another thread.
  Expected<HeapPin> Pin(BlockHandle block);

  // --- Bytes ------------------------------------------------------------------------------------

  Expected<void> Read(BlockHandle block, uint64_t offset, std::span<std::byte> out) const;
  Expected<void> Write(BlockHandle block, uint64_t offset, std::span<const std::byte> bytes);
  Expected<void> Fill(BlockHandle block, uint64_t offset, uint64_t bytes, std::byte value);
  Expected<void> Assign(BlockHandle block, std::span<const std::byte> bytes);

  // --- Objects ----------------------------------------------------------------------------------

  template <class T, class... Args>
  Expected<TypedHandle<T>> Allocate(Args&&... args);
  template <class T>
  Expected<void> Free(TypedHandle<T> object) {
    return Free(object.block);
  }
  template <class T>
  Expected<TypedPin<T>> Pin(TypedHandle<T> object) {
    auto pin = Pin(object.block);
    if (!pin) return tl::unexpected(std::move(pin.error()));
    return TypedPin<T>(std::move(*pin));
  }

  // --- Defragmentation --------------------------------------------------------------------------

  DefragReport Defragment(const MoveBudget& budget = {}, const DefragGoal& goal = {});
  // Its moves are resolved under the heap's lock, in any thread, but one at a time.
  CompactionPlan Plan(const MoveBudget& budget = {}, bool onto_itself = false);
  uint64_t Trim();

  // --- Questions --------------------------------------------------------------------------------

  HeapStats Stats() const;
  Expected<void> Validate();

 private:
  using Lock = std::unique_lock<std::mutex>;

  SharedCompactingHeap(std::unique_ptr<CompactingHeap> heap, const HeapOptions& options) noexcept
      : options_(options), heap_(std::move(heap)) {}
  static HeapOptions WithoutCallbacks(HeapOptions options) noexcept;
  static Expected<std::unique_ptr<SharedCompactingHeap>> Wrap(
      Expected<std::unique_ptr<CompactingHeap>> heap, const HeapOptions& options);

  // One move, or as many as one holding of the lock may do; false at the end.
  bool AdvanceSilently(region::CompactionRun& run);
  bool AdvanceObserved(region::CompactionRun& run);
  // CompactingHeap's, with the lock.
  bool GiveBackSlice(uint64_t& left);
  void StepIfDue();
  void Unpin(uint32_t number) noexcept override;

  const HeapOptions options_;
  mutable std::mutex mutex_;
  const std::unique_ptr<CompactingHeap> heap_;
};

template <class T, class... Args>
Expected<TypedHandle<T>> SharedCompactingHeap::Allocate(Args&&... args) {
  const BlockOperations* const operations = OperationsOf<T>();
  const auto block = Allocate(sizeof(T), Placement::kContiguous, alignof(T));
  if (!block) return tl::unexpected(block.error());
  struct Undo {
    SharedCompactingHeap* heap;
    BlockHandle block;
    ~Undo() {
      if (heap != nullptr) (void)heap->Free(block);
    }
  } undo{this, *block};
  // Nobody else knows the block yet.
  const auto pin = Pin(*block);
  if (!pin) return tl::unexpected(pin.error());
  if (pin->bytes().empty()) {
    return tl::unexpected(Error{.code = ErrorCode::kUnsupported,
                                .message = "a heap of offsets has no memory for objects",
                                .where = "SharedCompactingHeap::Allocate"});
  }
  uint8_t type = 0;
  if (operations != nullptr) {
    const Lock lock(mutex_);
    const auto known = heap_->MakeTyped(*operations, sizeof(T), alignof(T));
    if (!known) return tl::unexpected(known.error());
    type = *known;
  }
  ::new (static_cast<void*>(pin->bytes().data())) T(std::forward<Args>(args)...);
  {
    const Lock lock(mutex_);
    heap_->Find(*block)->type = type;
  }
  undo.heap = nullptr;
  return TypedHandle<T>{*block};
}

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_SHARED_COMPACTING_HEAP_H_
