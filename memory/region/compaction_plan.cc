#include "memory/region/compaction_plan.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <string>
#include <utility>

#include "memory/region/compacting_heap.h"

namespace granary {

CompactionPlan CompactingHeap::Plan(const MoveBudget& budget, bool onto_itself) {
  Run run(budget, {});
  run.moves_in_parts = false;
  run.moves_typed = false;
  run.moves_onto_itself = onto_itself;
  BeginAgainIfBetter(run);
  CompactionPlan plan(*this);
  for (;;) {
    if (budget.deadline && std::chrono::steady_clock::now() >= *budget.deadline) {
      plan.stop_ = DefragStop::kDeadline;
      return plan;
    }
    const Choice choice = Choose(run);
    if (choice.piece == nullptr) {
      plan.stop_ = choice.stop;
      return plan;
    }
    const auto move = Start(choice);
    if (!move) {
      plan.stop_ = DefragStop::kOutOfMemory;
      return plan;
    }
    try {
      plan.moves_.push_back({.move = Describe(*move), .started = *move});
    } catch (const std::bad_alloc&) {
      Cancel(*move);
      plan.stop_ = DefragStop::kOutOfMemory;
      return plan;
    }
    // The caller writes there.
    MarkUsed(move->to, choice.piece->bytes);
    ++run.moves;
    run.bytes += choice.piece->bytes;
  }
}

CompactionPlan::~CompactionPlan() {
  for (size_t i = 0; i < moves_.size(); ++i) {
    if (moves_[i].is_open) (void)Ignore(i);
  }
}

std::unique_lock<std::mutex> CompactionPlan::Lock() const {
  return mutex_ != nullptr ? std::unique_lock(*mutex_) : std::unique_lock<std::mutex>();
}

Expected<CompactionPlan::Entry*> CompactionPlan::Open(size_t i, const char* where) {
  if (i < moves_.size() && moves_[i].is_open) return &moves_[i];
  return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                              .message = "move " + std::to_string(i) + " of " +
                                         std::to_string(moves_.size()) +
                                         (i < moves_.size() ? " was resolved already" : " is none"),
                              .where = where});
}

Expected<void> CompactionPlan::Commit(size_t i) {
  constexpr const char* kWhere = "CompactionPlan::Commit";
  const auto lock = Lock();
  const auto found = Open(i, kWhere);
  if (!found) return tl::unexpected(found.error());
  Entry& entry = **found;
  if (heap_->IsDoomed(entry.started)) {
    Drop(entry);
    return tl::unexpected(Error{
        .code = ErrorCode::kAborted,
        .message = "the block of move " + std::to_string(i) + " was freed since it was planned",
        .where = kWhere});
  }
  if (heap_->IsPinned(entry.started)) {
    return tl::unexpected(Error{.code = ErrorCode::kBusy,
                                .message = "the block of move " + std::to_string(i) + " is pinned",
                                .where = kWhere});
  }
  const Range from = heap_->HeldBy(heap_->records_.At(entry.started.source));
  const uint64_t unused = std::max(from.offset, entry.move.to.end());
  heap_->MarkUnused({unused, from.end() - std::min(from.end(), unused)});
  heap_->Finish(entry.started);
  heap_->Disturbed();
  entry.is_open = false;
  return {};
}

Expected<void> CompactionPlan::Ignore(size_t i) {
  const auto lock = Lock();
  const auto found = Open(i, "CompactionPlan::Ignore");
  if (!found) return tl::unexpected(found.error());
  Drop(**found);
  return {};
}

void CompactionPlan::Drop(Entry& entry) noexcept {
  heap_->MarkUnused(heap_->HeldBy(heap_->records_.At(entry.started.reserved)));
  heap_->Cancel(entry.started);
  entry.is_open = false;
}

Expected<void> CompactionPlan::Destroy(size_t i) {
  constexpr const char* kWhere = "CompactionPlan::Destroy";
  const auto lock = Lock();
  const auto found = Open(i, kWhere);
  if (!found) return tl::unexpected(found.error());
  Entry& entry = **found;
  if (!heap_->IsDoomed(entry.started)) {
    if (heap_->IsPinned(entry.started)) {
      return tl::unexpected(
          Error{.code = ErrorCode::kBusy,
                .message = "the block of move " + std::to_string(i) + " is pinned",
                .where = kWhere});
    }
    auto& block = heap_->OwnerOf(heap_->records_.At(entry.started.source));
    (void)heap_->BeginFree(heap_->HandleOf(block));
    heap_->EndFree(block);
  }
  Drop(entry);
  return {};
}

}  // namespace granary
