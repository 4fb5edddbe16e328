#include "memory/region/shared_compacting_heap.h"

#include <algorithm>
#include <utility>

namespace granary {

namespace {

constexpr uint64_t kHoldBytes = uint64_t{64} << 10;
constexpr uint64_t kHoldMoves = MoveBudget::Step(kHoldBytes).moves;

}  // namespace

// --- Making -------------------------------------------------------------------------------------

// With an observer the heap never moves anything by itself, as it would have to tell it under the
// lock: that is done here.
HeapOptions SharedCompactingHeap::WithoutCallbacks(HeapOptions options) noexcept {
  if (options.observer == nullptr) return options;
  options.observer = nullptr;
  options.automatic.enabled = false;
  options.allocation_move_bytes = 0;
  return options;
}

Expected<std::unique_ptr<SharedCompactingHeap>> SharedCompactingHeap::Wrap(
    Expected<std::unique_ptr<CompactingHeap>> heap, const HeapOptions& options) {
  if (!heap) return tl::unexpected(std::move(heap.error()));
  return std::unique_ptr<SharedCompactingHeap>(new SharedCompactingHeap(std::move(*heap), options));
}

Expected<std::unique_ptr<SharedCompactingHeap>> SharedCompactingHeap::Create(
    const HeapOptions& options) {
  return Wrap(CompactingHeap::Create(WithoutCallbacks(options)), options);
}

Expected<std::unique_ptr<SharedCompactingHeap>> SharedCompactingHeap::CreateOver(
    std::span<std::byte> memory, const HeapOptions& options) {
  return Wrap(CompactingHeap::CreateOver(memory, WithoutCallbacks(options)), options);
}

Expected<std::unique_ptr<SharedCompactingHeap>> SharedCompactingHeap::CreateOverOffsets(
    const HeapOptions& options) {
  return Wrap(CompactingHeap::CreateOverOffsets(WithoutCallbacks(options)), options);
}

// --- Blocks -------------------------------------------------------------------------------------

Expected<BlockHandle> SharedCompactingHeap::Allocate(uint64_t bytes, Placement placement,
                                                     uint64_t alignment) {
  const bool moves_first = options_.observer != nullptr && options_.allocation_move_bytes != 0;
  auto block = [&] {
    const Lock lock(mutex_);
    return heap_->Allocate(bytes, moves_first ? Placement::kContiguous : placement, alignment);
  }();
  if (!block && moves_first && block.error().code == ErrorCode::kOutOfMemory) {
    const uint64_t room = alignment > options_.grain ? bytes + alignment - options_.grain : bytes;
    (void)Defragment({.bytes = options_.allocation_move_bytes}, {.room_bytes = room});
    const Lock lock(mutex_);
    block = heap_->Allocate(bytes, placement, alignment);
  }
  StepIfDue();
  return block;
}

Expected<void> SharedCompactingHeap::Free(BlockHandle block) {
  Lock lock(mutex_);
  const auto dying = heap_->BeginFree(block);
  if (!dying) return tl::unexpected(dying.error());
  if ((*dying)->type != 0) {
    lock.unlock();
    heap_->Destroy(**dying);
    lock.lock();
  }
  heap_->EndFree(**dying);
  heap_->StepIfDue();
  lock.unlock();
  StepIfDue();
  return {};
}

bool SharedCompactingHeap::IsLive(BlockHandle block) const {
  const Lock lock(mutex_);
  return heap_->IsLive(block);
}

Expected<uint64_t> SharedCompactingHeap::SizeOf(BlockHandle block) const {
  const Lock lock(mutex_);
  return heap_->SizeOf(block);
}

Expected<uint64_t> SharedCompactingHeap::PiecesOf(BlockHandle block) const {
  const Lock lock(mutex_);
  return heap_->PiecesOf(block);
}

Expected<void> SharedCompactingHeap::ForEachPiece(BlockHandle block,
                                                  const std::function<void(Range)>& visit) const {
  const Lock lock(mutex_);
  return heap_->ForEachPiece(block, visit);
}

Expected<void> SharedCompactingHeap::Gather(BlockHandle block) {
  const Lock lock(mutex_);
  return heap_->Gather(block);
}

Expected<HeapPin> SharedCompactingHeap::Pin(BlockHandle block) {
  const Lock lock(mutex_);
  const auto bytes = heap_->PinBytes(block);
  if (!bytes) return tl::unexpected(bytes.error());
  return HeapPin(*this, block.index, *bytes);
}

void SharedCompactingHeap::Unpin(uint32_t number) noexcept {
  const Lock lock(mutex_);
  heap_->Unpin(number);
}

// --- Bytes --------------------------------------------------------------------------------------

Expected<void> SharedCompactingHeap::Read(BlockHandle block, uint64_t offset,
                                          std::span<std::byte> out) const {
  const Lock lock(mutex_);
  return heap_->Read(block, offset, out);
}

Expected<void> SharedCompactingHeap::Write(BlockHandle block, uint64_t offset,
                                           std::span<const std::byte> bytes) {
  const Lock lock(mutex_);
  return heap_->Write(block, offset, bytes);
}

Expected<void> SharedCompactingHeap::Fill(BlockHandle block, uint64_t offset, uint64_t bytes,
                                          std::byte value) {
  const Lock lock(mutex_);
  return heap_->Fill(block, offset, bytes, value);
}

Expected<void> SharedCompactingHeap::Assign(BlockHandle block, std::span<const std::byte> bytes) {
  const Lock lock(mutex_);
  return heap_->Assign(block, bytes);
}

// --- Defragmentation ----------------------------------------------------------------------------

DefragReport SharedCompactingHeap::Defragment(const MoveBudget& budget, const DefragGoal& goal) {
  Lock lock(mutex_);
  region::CompactionRun run = heap_->Begin(budget, goal);
  if (heap_->is_defragmenting_ || heap_->space_.data() == nullptr) {
    run.report.stop = heap_->is_defragmenting_ ? DefragStop::kBusy : DefragStop::kUnsupported;
    heap_->End(run);
    return run.report;
  }
  heap_->is_defragmenting_ = true;
  lock.unlock();
  run.part_bytes = std::min(run.part_bytes, kHoldBytes);
  run.moves_in_parts = options_.observer == nullptr;
  uint64_t no_limit = MoveBudget::kNoLimit;
  while (options_.observer == nullptr ? AdvanceSilently(run) : AdvanceObserved(run)) {
    // Who does not mind how long it takes need not wait for its memory either.
    if (!run.has_limit()) (void)GiveBackSlice(no_limit);
  }
  uint64_t left = run.GiveBackMax();
  while (GiveBackSlice(left) && !run.IsLate()) {
  }
  lock.lock();
  heap_->is_defragmenting_ = false;
  heap_->EndGivingBack(run, left);
  heap_->End(run);
  return run.report;
}

bool SharedCompactingHeap::AdvanceSilently(region::CompactionRun& run) {
  const Lock lock(mutex_);
  const uint64_t bytes_before = run.bytes;
  for (uint64_t moves = 0; moves < kHoldMoves && run.bytes - bytes_before < kHoldBytes; ++moves) {
    if (!heap_->Advance(run)) return false;
  }
  return true;
}

bool SharedCompactingHeap::AdvanceObserved(region::CompactionRun& run) {
  Lock lock(mutex_);
  if (!heap_->GoesOn(run)) return false;
  const CompactingHeap::Choice choice = heap_->Choose(run);
  if (choice.piece == nullptr) {
    run.report.stop = choice.stop;
    return false;
  }
  const auto move = heap_->Start(choice);
  if (!move) {
    run.report.stop = DefragStop::kOutOfMemory;
    return false;
  }
  const BlockMove told = heap_->Describe(*move);
  lock.unlock();
  options_.observer->BeforeMove(told);
  lock.lock();
  const bool is_done = heap_->CopyAndFinish(run, *move);
  lock.unlock();
  if (is_done) {
    options_.observer->AfterMove(told);
  } else {
    options_.observer->MoveAbandoned(told);
  }
  return true;
}

bool SharedCompactingHeap::GiveBackSlice(uint64_t& left) {
  const Lock lock(mutex_);
  return heap_->GiveBackSlice(left);
}

void SharedCompactingHeap::StepIfDue() {
  if (options_.observer == nullptr) return;
  const AutomaticDefrag& automatic = options_.automatic;
  {
    const Lock lock(mutex_);
    if (!heap_->WantsStep(automatic)) return;
  }
  const DefragReport report = Defragment(MoveBudget::Step(automatic.step_bytes),
                                         {.max_fragmentation = automatic.end_fragmentation});
  const Lock lock(mutex_);
  heap_->StepEnded(automatic, report);
}

CompactionPlan SharedCompactingHeap::Plan(const MoveBudget& budget, bool onto_itself) {
  const Lock lock(mutex_);
  CompactionPlan plan = heap_->Plan(budget, onto_itself);
  plan.mutex_ = &mutex_;
  return plan;
}

uint64_t SharedCompactingHeap::Trim() {
  const Lock lock(mutex_);
  return heap_->Trim();
}

// --- Questions ----------------------------------------------------------------------------------

HeapStats SharedCompactingHeap::Stats() const {
  const Lock lock(mutex_);
  return heap_->Stats();
}

Expected<void> SharedCompactingHeap::Validate() {
  const Lock lock(mutex_);
  return heap_->Validate();
}

}  // namespace granary
