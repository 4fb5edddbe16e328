// CompactingHeap: blocks of any size that have handles instead of addresses, so that they can move.
//
//   auto heap = granary::CompactingHeap::Create({.limit_bytes = uint64_t{8} << 30});
//   const auto block = (*heap)->Allocate(100'000);
//   (*heap)->Write(*block, 0, row);
//   ...
//   const DefragReport report = (*heap)->Defragment(MoveBudget::Step(64 << 10));
//
// For what lives long, has sizes of all kinds and must not waste space in the end: a cache of
// values, a table's rows, extents of a device. Space that fits nobody is made whole again by moving
// blocks, as much at a time as the caller allows, or by itself.
//
// When not: for what has an address for life (RegionResource), dies together (Arena) or is of one
// size (PagePool).
//
// How a block is reached. Read, Write, Fill and Assign copy, and work wherever the block lies. A
// HeapPin gives the address, and while it is there the block does not move. A stale handle is
// always refused.
//
// Scattered blocks. Where no range is large enough a block may consist of several, if its
// allocation allows it: a heap of n units serves n units however they lie. Gather makes it one.
//
// Defragmentation. In the first phase the highest block goes into the hole below it that fits best,
// again and again: a byte moved is a byte reclaimed, or more. When it fits in none, the second
// slides the blocks of one eighth of the heap down, that with the most free bytes, until the holes
// that have become one hold it. When all eighths are done, the whole heap is one. It ends when the
// goal is reached, the budget is spent, or there is nothing to gain: every move lowers a block, so
// it ends, and a heap on which nothing has changed since is not looked at again. It never needs
// more space than there is. Costs: O(log n) for finding and doing a move, beside the copy, in the
// number n of blocks; MoveBudget says how long a call may take. Nothing looks at all blocks but
// Validate and the destructor.
//
// Pinned blocks do not move, and cannot be freed; what is above them can still go below them. The
// heap's end does not fall below the highest of them.
//
// Memory. Chunks above the end go back as blocks are freed and defragmented. 64 bytes a block or
// piece and 32 a hole beside them: the former go back too, by Trim and Defragment, where 64 that
// were neighbours are all gone; new blocks take the lowest that are free, so that they gather. The
// latter stay at their peak. What a step of a defragmentation gives back is bounded as its moves
// are.
//
// Costs of the rest. RegionAllocator's, and O(log n). No malloc after Create, but for plans, errors
// and memory that goes back, and once for the largest typed block.
//
// Threading. One thread at a time; SharedCompactingHeap is for any.
//
// Reentry. A MoveObserver, a constructor and a destructor may call the heap; a Relocation may not.
//
// Errors. A stale handle, a range outside the block: kInvalidArgument. A pinned block that is to be
// freed: kBusy. No room: kOutOfMemory. After an error nothing has changed, but that blocks may have
// moved. A heap that ends while a block is pinned is misuse: a report and std::abort.
//
// Sources: the two phases after the compaction of PMDK and Realm; handles after Twingate's memory
// manager; plans after VulkanMemoryAllocator's passes.
#ifndef GRANARY_MEMORY_REGION_COMPACTING_HEAP_H_
#define GRANARY_MEMORY_REGION_COMPACTING_HEAP_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "memory/error.h"
#include "memory/region/compaction_plan.h"
#include "memory/region/compaction_run.h"
#include "memory/region/heap_index.h"
#include "memory/region/heap_pin.h"
#include "memory/region/heap_record.h"
#include "memory/region/heap_records.h"
#include "memory/region/heap_scratch.h"
#include "memory/region/heap_space.h"
#include "memory/region/heap_types.h"
#include "memory/region/typed_handle.h"

namespace granary {

class CompactingHeap final : private PinOwner {
 public:
  static constexpr uint64_t kMaxAlignment = region::HeapMemory::kMaxAlignment;

  // Over memory of the system, which it takes and gives back by the chunk. kInvalidArgument,
  // kOutOfMemory.
  static Expected<std::unique_ptr<CompactingHeap>> Create(const HeapOptions& options);
  // Over the caller's memory, which is aligned to the grain and outlives it. A block's alignment
  // can be that of the memory's begin at most.
  static Expected<std::unique_ptr<CompactingHeap>> CreateOver(std::span<std::byte> memory,
                                                              const HeapOptions& options = {});
  // Over offsets up to limit_bytes, of a device or a file: nothing can be read or written through
  // it, and Plan() defragments.
  static Expected<std::unique_ptr<CompactingHeap>> CreateOverOffsets(const HeapOptions& options);

  CompactingHeap(const CompactingHeap&) = delete;
  CompactingHeap& operator=(const CompactingHeap&) = delete;
  ~CompactingHeap() override;

  // --- Blocks -----------------------------------------------------------------------------------

  // `alignment` is a power of two up to kMaxAlignment; one above the grain makes the block
  // contiguous. What is in it means nothing.
  Expected<BlockHandle> Allocate(uint64_t bytes, Placement placement = Placement::kContiguous,
                                 uint64_t alignment = 1);
  // A contiguous block that `operations` move and destroy, of which a heap knows 255 at most. What
  // they expect in it is to be there before the next call. Read, Write, Fill and Assign refuse it.
  Expected<BlockHandle> AllocateWith(const BlockOperations& operations, uint64_t bytes,
                                     uint64_t alignment);
  Expected<void> Free(BlockHandle block);

  bool IsLive(BlockHandle block) const noexcept { return Find(block) != nullptr; }
  // As it was asked for.
  Expected<uint64_t> SizeOf(BlockHandle block) const;
  // 1 for a contiguous block.
  Expected<uint64_t> PiecesOf(BlockHandle block) const;
  // Calls `visit(Range)` for the ranges that it consists of, in the order of its bytes; they may
  // change with every call that is not const.
  Expected<void> ForEachPiece(BlockHandle block, const std::function<void(Range)>& visit) const;

  // Makes a scattered block contiguous. kOutOfMemory if no range is large enough; kBusy if it is
  // pinned or a plan has it.
  Expected<void> Gather(BlockHandle block);

  // kBusy for the 2^32nd pin of a block.
  Expected<HeapPin> Pin(BlockHandle block);

  // --- Bytes ------------------------------------------------------------------------------------

  // Of a block, from `offset` in it.
  Expected<void> Read(BlockHandle block, uint64_t offset, std::span<std::byte> out) const;
  Expected<void> Write(BlockHandle block, uint64_t offset, std::span<const std::byte> bytes);
  Expected<void> Fill(BlockHandle block, uint64_t offset, uint64_t bytes, std::byte value);
  // All of it: `bytes`, and zeros behind them.
  Expected<void> Assign(BlockHandle block, std::span<const std::byte> bytes);

  // --- Objects ----------------------------------------------------------------------------------

  // An object, made from `args`: heap.Allocate<Row>(key, value). What its constructor throws comes
  // through, and nothing has changed.
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

  // Moves for the caller to make, as many as the budget allows; see CompactionPlan. It plans holes
  // to be filled from the top and blocks to be slid; one that would overlap itself only if
  // `onto_itself`. Typed blocks stay where they are. Moves make room for others: when all are
  // resolved, another plan may find more.
  CompactionPlan Plan(const MoveBudget& budget = {}, bool onto_itself = false);

  // Gives chunks above the end, and pages of records of which none is used, back to the system, as
  // many as there are: about 15 us for 64 KiB on the reference machine. Returns bytes.
  uint64_t Trim() noexcept;

  // --- Questions --------------------------------------------------------------------------------

  const HeapOptions& options() const noexcept { return options_; }
  // O(1).
  HeapStats Stats() const noexcept;
  // end / live - 1, where live is what blocks hold, without what moves have reserved.
  double Fragmentation() const noexcept {
    const uint64_t live = space_.used_bytes() - reserved_bytes_;
    return live != 0 ? static_cast<double>(space_.end_bytes() - live) / static_cast<double>(live)
                     : 0;
  }
  // Which bytes are used, for its statistics and its free ranges. It ends at the heap's end.
  const RegionAllocator& space() const noexcept { return space_.region(); }

  // Looks at everything. An error says what is wrong; it can only come from a stray write, or a
  // bug. O(n log n).
  Expected<void> Validate();

 private:
  friend class CompactionPlan;
  friend class SharedCompactingHeap;

  using Record = region::HeapRecord;
  using State = region::HeapRecord::State;
  using Run = region::CompactionRun;

  // What to move next, and where to: its space is taken.
  struct Choice {
    Record* piece = nullptr;
    uint64_t to = 0;
    bool is_slide = false;
    bool in_parts = false;
    // Why there is none.
    DefragStop stop = DefragStop::kNoProgress;
  };
  static constexpr uint64_t kNothingSkipped = UINT64_MAX;
  // A move that goes on, in parts.
  struct PartialMove {
    region::StartedMove move;
    uint64_t copied_bytes = 0;
  };

  CompactingHeap(const HeapOptions& options, region::HeapSpace space, region::HeapRecords records,
                 uint64_t max_alignment) noexcept;
  static Expected<std::unique_ptr<CompactingHeap>> Make(const HeapOptions& options,
                                                        Expected<region::HeapMemory> memory,
                                                        uint64_t max_alignment);

  // --- Blocks (compacting_heap.cc) ---

  Record* Find(BlockHandle block) const noexcept;
  Expected<Record*> FindOrError(BlockHandle block, const char* where) const;
  Record& OwnerOf(Record& piece) const noexcept;
  BlockHandle HandleOf(const Record& block) const noexcept;
  uint64_t AlignmentOf(const Record& record) const noexcept {
    return uint64_t{1} << record.alignment_log2;
  }
  Range HeldBy(const Record& record) const noexcept {
    return {record.offset, index_.EndOf(record) - record.offset};
  }
  // `visit` of a block's pieces, in order; it may put the record back.
  template <class Visit>
  void ForEachRecord(Record& block, const Visit& visit) const;

  Expected<void> CheckRequest(uint64_t bytes, uint64_t alignment) const;
  // One range, by moving blocks if the options allow it.
  Expected<uint64_t> TakeContiguous(uint64_t bytes, uint64_t alignment);
  Expected<void> TakeScattered(Record& block);
  Expected<uint64_t> TakeLargest(uint64_t bytes, uint64_t* taken);
  // Freeing, in three parts: the handle is stale and nothing moves the block; what is in it is
  // destroyed, which may call the heap; its space is free.
  Expected<Record*> BeginFree(BlockHandle block);
  void Destroy(Record& block) noexcept;
  void EndFree(Record& block) noexcept;
  void FreePiece(Record& piece) noexcept;
  // Pins it, and its bytes as HeapPin has them.
  Expected<std::span<std::byte>> PinBytes(BlockHandle block);
  // The index of `operations`, and what moving such a block takes.
  Expected<uint8_t> MakeTyped(const BlockOperations& operations, uint64_t bytes,
                              uint64_t alignment);
  void Unpin(uint32_t number) noexcept override;

  // Calls `copy(std::byte* at, uint64_t done, uint64_t bytes)` for the parts of a block's bytes;
  // `done` are those of the parts before. If it writes, also for what has been copied already of a
  // piece that is being moved in parts.
  template <class Copy>
  Expected<void> ForBytes(BlockHandle block, uint64_t offset, uint64_t bytes, bool writes,
                          const char* where, const Copy& copy) const;

  void MarkUsed(uint64_t offset, uint64_t bytes) const noexcept;
  void MarkUnused(Range range) const noexcept;

  // --- Moving (heap_compaction.cc) ---

  // There may be something to gain again.
  void Disturbed() noexcept {
    is_settled_ = false;
    is_disturbed_ = true;
  }
  bool IsReached(const DefragGoal& goal) const noexcept;
  bool CanMove(Record& piece, const Run& run) const noexcept;
  // Looks at pieces that stay, and parks those that stay for some time. False if it is time to end.
  Choice Choose(Run& run);
  std::optional<Choice> ChooseEvacuation(Run& run);
  Choice ChooseSlide(Run& run);
  bool OpenWindow() noexcept;
  // True if the whole heap is done.
  bool CloseWindow() noexcept;
  // One move, or a part of one, or nothing: then the report says why.
  bool Advance(Run& run);
  // Neither is the goal reached nor the deadline; otherwise the report says so.
  bool GoesOn(Run& run) const;
  bool AdvancePart(Run& run);
  // The two halves of a move that others may look at meanwhile. Nothing if there is no record left.
  std::optional<region::StartedMove> Start(const Choice& choice);
  BlockMove Describe(const region::StartedMove& move) const noexcept;
  bool IsDoomed(const region::StartedMove& move) const noexcept;
  bool IsPinned(const region::StartedMove& move) const noexcept;
  // Its bytes are at `to`. It is neither doomed nor pinned.
  void Finish(const region::StartedMove& move) noexcept;
  // It stays, or, doomed, goes.
  void Cancel(const region::StartedMove& move) noexcept;
  // Copies and finishes; or cancels, and false, if it was freed or pinned.
  bool CopyAndFinish(Run& run, const region::StartedMove& move) noexcept;
  void CancelPartial() noexcept;
  void MoveNow(Record& piece, uint64_t to, bool is_slide) noexcept;
  void CopyBytes(const Record& piece, uint64_t to) noexcept;
  void Count(Run& run, uint64_t bytes, bool is_slide, uint64_t end_before) const noexcept;
  Run Begin(const MoveBudget& budget, const DefragGoal& goal) noexcept;
  // If it can move what others could not, from the beginning.
  void BeginAgainIfBetter(const Run& run) noexcept;
  // Beyond what is kept for what may come.
  bool HasMemoryToGiveBack() const noexcept;
  // A part of it, of `left` bytes at most; false if that was all.
  bool GiveBackSlice(uint64_t& left) noexcept;
  // It says so if there is more to give back than it was allowed to.
  void EndGivingBack(Run& run, uint64_t left) const;
  void ForgetWindows() noexcept;
  // A block of `bytes`, for which the budget is too small, stays where it is.
  void Skip(Run& run, uint64_t bytes) noexcept;
  void End(Run& run) const noexcept;
  // Whether a step is due, and what became of it.
  bool WantsStep(const AutomaticDefrag& automatic) noexcept;
  void StepEnded(const AutomaticDefrag& automatic, const DefragReport& report) noexcept;
  void StepIfDue() noexcept;

  const HeapOptions options_;
  const uint64_t max_alignment_;
  region::HeapSpace space_;
  mutable region::HeapRecords records_;
  mutable region::HeapIndex index_;
  std::array<const BlockOperations*, 256> types_ = {};
  // As large as the largest typed block.
  region::HeapScratch scratch_;

  uint64_t asked_bytes_ = 0;
  uint64_t blocks_ = 0;
  uint64_t scattered_blocks_ = 0;
  uint64_t pieces_ = 0;
  uint64_t pins_ = 0;
  // Of used bytes, those that moves hold beyond what their blocks have.
  uint64_t reserved_bytes_ = 0;

  // Where the second phase is: what it slides, and from where on. An empty window is none.
  Range window_;
  uint64_t cursor_ = 0;
  // The window is everything.
  bool is_last_window_ = false;
  // Of the blocks that stayed in these windows because a budget was too small for them, the
  // smallest; and whether some did because a plan cannot move them.
  uint64_t skipped_bytes_ = kNothingSkipped;
  bool has_skipped_in_plan_ = false;
  // Nothing is to be gained; and whether something has changed since the last window was opened.
  bool is_settled_ = false;
  bool is_disturbed_ = false;
  PartialMove partial_;
  bool is_defragmenting_ = false;

  bool is_stepping_ = false;
  uint64_t freed_bytes_ = 0;
  // No step before so much was freed.
  uint64_t rest_until_freed_bytes_ = 0;
};

template <class Visit>
void CompactingHeap::ForEachRecord(Record& block, const Visit& visit) const {
  for (Record* at = &block; at != nullptr;) {
    Record* const next = at->next != 0 ? &records_.At(at->next) : nullptr;
    visit(*at);
    at = next;
  }
}

template <class T, class... Args>
Expected<TypedHandle<T>> CompactingHeap::Allocate(Args&&... args) {
  if (space_.data() == nullptr) {
    return tl::unexpected(Error{.code = ErrorCode::kUnsupported,
                                .message = "a heap of offsets has no memory for objects",
                                .where = "CompactingHeap::Allocate"});
  }
  const BlockOperations* const operations = OperationsOf<T>();
  // Until there is an object nothing is to be destroyed, and nothing may move.
  const auto block = Allocate(sizeof(T), Placement::kContiguous, alignof(T));
  if (!block) return tl::unexpected(block.error());
  struct Undo {
    CompactingHeap* heap;
    BlockHandle block;
    ~Undo() {
      if (heap != nullptr) (void)heap->Free(block);
    }
  } undo{this, *block};
  uint8_t type = 0;
  if (operations != nullptr) {
    const auto known = MakeTyped(*operations, sizeof(T), alignof(T));
    if (!known) return tl::unexpected(known.error());
    type = *known;
  }
  {
    const auto pin = Pin(*block);
    ::new (static_cast<void*>(pin->bytes().data())) T(std::forward<Args>(args)...);
  }
  Find(*block)->type = type;
  undo.heap = nullptr;
  return TypedHandle<T>{*block};
}

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_COMPACTING_HEAP_H_
