// How a CompactingHeap moves its blocks.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "memory/region/compacting_heap.h"

namespace granary {

namespace {

constexpr uint64_t kNoEnd = UINT64_MAX;

// Memory goes back by so much at a time, about 15 us on the reference machine.
constexpr uint64_t kSliceBytes = uint64_t{64} << 10;
constexpr uint64_t kRunsPerSlice = 4;
// So much of idle records stays: they come and go with single blocks.
constexpr uint64_t kIdleRecordBytes = uint64_t{64} << 10;

}  // namespace

const char* DefragStopName(DefragStop stop) noexcept {
  switch (stop) {
    case DefragStop::kGoalReached:
      return "goal reached";
    case DefragStop::kBudget:
      return "budget";
    case DefragStop::kDeadline:
      return "deadline";
    case DefragStop::kNoProgress:
      return "no progress";
    case DefragStop::kBusy:
      return "busy";
    case DefragStop::kOutOfMemory:
      return "out of memory";
    case DefragStop::kUnsupported:
      return "unsupported";
  }
  return "unknown";
}

// --- A run --------------------------------------------------------------------------------------

DefragReport CompactingHeap::Defragment(const MoveBudget& budget, const DefragGoal& goal) {
  Run run = Begin(budget, goal);
  if (space_.data() == nullptr) {
    run.report.stop = DefragStop::kUnsupported;
  } else if (is_defragmenting_) {
    run.report.stop = DefragStop::kBusy;
  } else {
    is_defragmenting_ = true;
    // Who does not mind how long it takes need not wait for its memory either.
    uint64_t no_limit = MoveBudget::kNoLimit;
    while (Advance(run)) {
      if (!run.has_limit()) (void)GiveBackSlice(no_limit);
    }
    uint64_t left = run.GiveBackMax();
    while (GiveBackSlice(left) && !run.IsLate()) {
    }
    is_defragmenting_ = false;
    EndGivingBack(run, left);
  }
  End(run);
  return run.report;
}

region::CompactionRun CompactingHeap::Begin(const MoveBudget& budget,
                                            const DefragGoal& goal) noexcept {
  Run run(budget, goal);
  run.moves_in_parts = options_.observer == nullptr;
  BeginAgainIfBetter(run);
  run.report.fragmentation_before = Fragmentation();
  return run;
}

void CompactingHeap::BeginAgainIfBetter(const Run& run) noexcept {
  const bool moves_all = run.moves_typed && run.moves_onto_itself;
  if (skipped_bytes_ > run.budget.bytes && !(has_skipped_in_plan_ && moves_all)) return;
  ForgetWindows();
}

void CompactingHeap::ForgetWindows() noexcept {
  window_ = {};
  space_.segments().ForgetSlid();
  skipped_bytes_ = kNothingSkipped;
  has_skipped_in_plan_ = false;
}

bool CompactingHeap::HasMemoryToGiveBack() const noexcept {
  return space_.surplus_bytes() != 0 || records_.idle_bytes() >= 2 * kIdleRecordBytes;
}

bool CompactingHeap::GiveBackSlice(uint64_t& left) noexcept {
  if (!HasMemoryToGiveBack()) return false;
  const uint64_t slice = std::min(left, kSliceBytes);
  uint64_t given = space_.surplus_bytes() != 0 ? space_.Shrink(slice) : 0;
  if (given == 0 && records_.idle_bytes() >= 2 * kIdleRecordBytes) {
    // They may lie apart, and then it is the calls that take time.
    given =
        records_.GiveBack(std::min(slice, records_.idle_bytes() - kIdleRecordBytes), kRunsPerSlice);
    if (given != 0) given = std::max(given, kSliceBytes / 2);
  }
  left -= std::min(left, given);
  return given != 0 && left != 0;
}

void CompactingHeap::EndGivingBack(Run& run, uint64_t left) const {
  const DefragStop stop = run.report.stop;
  const bool has_moved_all = stop == DefragStop::kGoalReached || stop == DefragStop::kNoProgress;
  if (!has_moved_all || !HasMemoryToGiveBack()) return;
  if (left == 0) run.report.stop = DefragStop::kBudget;
  if (left != 0 && run.IsLate()) run.report.stop = DefragStop::kDeadline;
}

uint64_t CompactingHeap::Trim() noexcept {
  return space_.memory().TrimTo(space_.end_bytes()) + records_.GiveBack();
}

void CompactingHeap::End(Run& run) const noexcept {
  run.report.fragmentation_after = Fragmentation();
}

bool CompactingHeap::IsReached(const DefragGoal& goal) const noexcept {
  if (Fragmentation() <= goal.max_fragmentation) return true;
  if (goal.target_end_bytes != 0 && space_.end_bytes() <= goal.target_end_bytes) return true;
  return goal.room_bytes != 0 && (space_.largest_hole_bytes() >= goal.room_bytes ||
                                  space_.HasRoomAtEnd(goal.room_bytes, 1));
}

bool CompactingHeap::GoesOn(Run& run) const {
  if (IsReached(run.goal)) {
    run.report.stop = DefragStop::kGoalReached;
    return false;
  }
  if (run.IsLate()) {
    run.report.stop = DefragStop::kDeadline;
    return false;
  }
  return true;
}

bool CompactingHeap::Advance(Run& run) {
  if (!GoesOn(run)) return false;
  if (partial_.move.source != 0) return AdvancePart(run);
  const Choice choice = Choose(run);
  if (choice.piece == nullptr) {
    run.report.stop = choice.stop;
    return false;
  }
  if (options_.observer == nullptr && !choice.in_parts) {
    const uint64_t bytes = choice.piece->bytes;
    const uint64_t end_before = space_.end_bytes();
    MoveNow(*choice.piece, choice.to, choice.is_slide);
    Count(run, bytes, choice.is_slide, end_before);
    return true;
  }
  const auto move = Start(choice);
  if (!move) {
    run.report.stop = DefragStop::kOutOfMemory;
    return false;
  }
  if (choice.in_parts) {
    partial_ = {*move, 0};
    return AdvancePart(run);
  }
  const BlockMove told = Describe(*move);
  options_.observer->BeforeMove(told);
  if (CopyAndFinish(run, *move)) {
    options_.observer->AfterMove(told);
  } else {
    options_.observer->MoveAbandoned(told);
  }
  return true;
}

bool CompactingHeap::AdvancePart(Run& run) {
  const Record& piece = records_.At(partial_.move.source);
  const uint64_t left = piece.bytes - partial_.copied_bytes;
  const uint64_t part = std::min({left, run.bytes_left(), run.part_bytes});
  if (part == 0 || !run.CanMove()) {
    run.report.stop = DefragStop::kBudget;
    return false;
  }
  std::byte* const to = space_.data() + partial_.move.to + partial_.copied_bytes;
  MarkUsed(partial_.move.to + partial_.copied_bytes, part);
  std::memcpy(to, space_.data() + piece.offset + partial_.copied_bytes, part);
  partial_.copied_bytes += part;
  run.bytes += part;
  run.report.evacuated_bytes += part;
  if (part < left) return true;
  const uint64_t end_before = space_.end_bytes();
  MarkUnused(HeldBy(piece));
  Finish(partial_.move);
  partial_ = {};
  // Its bytes have been counted.
  Count(run, 0, /*is_slide=*/false, end_before);
  return true;
}

void CompactingHeap::CancelPartial() noexcept {
  MarkUnused(HeldBy(records_.At(partial_.move.reserved)));
  Cancel(partial_.move);
  partial_ = {};
}

void CompactingHeap::Count(Run& run, uint64_t bytes, bool is_slide,
                           uint64_t end_before) const noexcept {
  DefragReport& report = run.report;
  const uint64_t reclaimed = end_before - space_.end_bytes();
  ++run.moves;
  run.bytes += bytes;
  report.reclaimed_bytes += reclaimed;
  if (is_slide) {
    ++report.slid_blocks;
    report.slid_bytes += bytes;
  } else {
    ++report.evacuated_blocks;
    report.evacuated_bytes += bytes;
    report.evacuation_reclaimed_bytes += reclaimed;
  }
}

void CompactingHeap::Skip(Run& run, uint64_t bytes) noexcept {
  run.report.needed_bytes = std::max(run.report.needed_bytes, bytes);
  skipped_bytes_ = std::min(skipped_bytes_, bytes);
}

// --- Choosing -----------------------------------------------------------------------------------

bool CompactingHeap::CanMove(Record& piece, const Run& run) const noexcept {
  return !piece.is_moving && OwnerOf(piece).pins == 0 && (run.moves_typed || piece.type == 0);
}

CompactingHeap::Choice CompactingHeap::Choose(Run& run) {
  if (is_settled_) return {.stop = DefragStop::kNoProgress};
  if (!run.CanMove()) return {.stop = DefragStop::kBudget};
  if (const auto evacuation = ChooseEvacuation(run)) return *evacuation;
  return ChooseSlide(run);
}

// The first phase: the highest that can be moved. Nothing if it fits in no hole.
std::optional<CompactingHeap::Choice> CompactingHeap::ChooseEvacuation(Run& run) {
  for (uint64_t below = kNoEnd;;) {
    Record* const top = index_.HighestBelow(below);
    if (top == nullptr) return std::nullopt;
    const uint64_t held = HeldBy(*top).size;
    const bool fits = held <= space_.largest_hole_bytes();
    if (CanMove(*top, run)) {
      if (!fits) return std::nullopt;
      const bool in_parts = top->bytes > std::min(run.budget.bytes, run.part_bytes) &&
                            run.moves_in_parts && top->type == 0;
      const bool is_too_large = !in_parts && top->bytes > run.budget.bytes;
      if (!is_too_large) {
        if (in_parts ? run.bytes_left() == 0 : top->bytes > run.bytes_left()) {
          return Choice{.stop = DefragStop::kBudget};
        }
        const auto to = space_.TakeHoleBelow(top->offset, top->bytes, AlignmentOf(*top));
        if (!to) return std::nullopt;
        return Choice{.piece = top, .to = *to, .in_parts = in_parts};
      }
      // The next one below may be smaller.
      Skip(run, top->bytes);
      below = top->offset;
    } else if (OwnerOf(*top).pins != 0 || top->is_moving) {
      index_.Park(*top);
    } else {
      has_skipped_in_plan_ = true;
      below = top->offset;
    }
    if (!run.Look()) return Choice{.stop = DefragStop::kBudget};
  }
}

// The second phase: the next block of the window that has free bytes right below it.
CompactingHeap::Choice CompactingHeap::ChooseSlide(Run& run) {
  for (Record* next = nullptr;;) {
    if (window_.size == 0 && !OpenWindow()) return {.stop = DefragStop::kNoProgress};
    Record* const piece = next != nullptr ? next : index_.LowestFrom(cursor_);
    next = nullptr;
    if (piece == nullptr || piece->offset >= window_.end()) {
      if (CloseWindow()) return {.stop = DefragStop::kNoProgress};
      if (!run.Look()) return {.stop = DefragStop::kBudget};
      continue;
    }
    if (!run.Look()) return {.stop = DefragStop::kBudget};
    const Range held = HeldBy(*piece);
    const uint64_t at = cursor_;
    cursor_ = held.end();
    // A descent for each that stays would take longer than the moves.
    next = index_.NextOf(*piece);
    if (!CanMove(*piece, run)) {
      if (OwnerOf(*piece).pins != 0) {
        index_.Park(*piece);
      } else {
        has_skipped_in_plan_ = true;
      }
      continue;
    }
    const uint64_t alignment = std::max(AlignmentOf(*piece), options_.grain);
    const uint64_t used_end = index_.UsedEndBelow(*piece);
    const uint64_t to = (used_end + alignment - 1) & ~(alignment - 1);
    if (to >= piece->offset) continue;
    const bool overlaps = held.size > piece->offset - to;
    if (piece->bytes > run.budget.bytes) {
      Skip(run, piece->bytes);
      continue;
    }
    if (overlaps && !run.moves_onto_itself) {
      has_skipped_in_plan_ = true;
      continue;
    }
    if (piece->bytes > run.bytes_left()) {
      cursor_ = at;
      return {.stop = DefragStop::kBudget};
    }
    const Range taken = {to, std::min(held.size, piece->offset - to)};
    if (!space_.TakeExactly(taken)) continue;
    cursor_ = to + held.size;
    return {.piece = piece, .to = to, .is_slide = true};
  }
}

// The eighth with the most free bytes; when there is none, everything. False if there is nothing in
// the heap.
bool CompactingHeap::OpenWindow() noexcept {
  const uint64_t end = space_.end_bytes();
  if (end == 0) return false;
  if (const auto emptiest = space_.segments().EmptiestWindow(end)) {
    window_ = *emptiest;
    is_last_window_ = false;
  } else {
    const uint64_t begin = space_.segments().FullUpTo(end);
    window_ = {begin, kNoEnd - begin};
    is_last_window_ = true;
    is_disturbed_ = false;
  }
  cursor_ = window_.offset;
  return true;
}

bool CompactingHeap::CloseWindow() noexcept {
  const bool was_last = is_last_window_;
  if (!was_last) space_.segments().MarkSlid(window_);
  window_ = {};
  if (!was_last) return false;
  if (skipped_bytes_ != kNothingSkipped || has_skipped_in_plan_) {
    ForgetWindows();
    return true;
  }
  if (is_disturbed_) return false;
  is_settled_ = true;
  return true;
}

// --- Moving -------------------------------------------------------------------------------------

void CompactingHeap::CopyBytes(const Record& piece, uint64_t to) noexcept {
  std::byte* const source = space_.data() + piece.offset;
  std::byte* const target = space_.data() + to;
  const uint64_t below = to < piece.offset ? piece.offset - to : kNoEnd;
  const bool overlaps = below < piece.bytes;
  MarkUsed(to, std::min(piece.bytes, below));
  if (piece.type == 0) {
    std::memmove(target, source, piece.bytes);
  } else if (!overlaps) {
    types_[piece.type]->move(source, target, piece.bytes);
  } else {
    types_[piece.type]->move(source, scratch_.data(), piece.bytes);
    types_[piece.type]->move(scratch_.data(), target, piece.bytes);
  }
  const uint64_t end = HeldBy(piece).end();
  const uint64_t unused = overlaps ? to + piece.bytes : piece.offset;
  MarkUnused({unused, end - unused});
}

void CompactingHeap::MoveNow(Record& piece, uint64_t to, bool is_slide) noexcept {
  const Range from = HeldBy(piece);
  CopyBytes(piece, to);
  if (is_slide) {
    // Nothing lies between the two places, so its own among the others is what it was.
    piece.offset = to;
  } else {
    index_.Erase(piece);
    piece.offset = to;
    index_.Insert(piece);
  }
  const uint64_t begin = to < from.offset ? std::max(from.offset, to + from.size) : from.offset;
  space_.Leave({begin, from.end() - begin});
}

std::optional<region::StartedMove> CompactingHeap::Start(const Choice& choice) {
  Record& piece = *choice.piece;
  const uint64_t held = HeldBy(piece).size;
  const Range taken = {choice.to, std::min(held, piece.offset - choice.to)};
  const uint32_t number = records_.Take();
  if (number == 0) {
    space_.GiveBack(taken);
    return std::nullopt;
  }
  Record& reserved = records_.At(number);
  reserved.offset = taken.offset;
  reserved.bytes = taken.size;
  reserved.block_bytes_or_owner = records_.NumberOf(piece);
  reserved.next = 0;
  reserved.pins = 0;
  reserved.type = 0;
  reserved.alignment_log2 = 0;
  reserved.state = State::kReserved;
  reserved.is_parked = true;
  reserved.is_moving = true;
  index_.Insert(reserved);
  reserved_bytes_ += taken.size;
  index_.Park(piece);
  piece.is_moving = true;
  return region::StartedMove{records_.NumberOf(piece), number, choice.to, choice.is_slide};
}

BlockMove CompactingHeap::Describe(const region::StartedMove& move) const noexcept {
  Record& piece = records_.At(move.source);
  return {.block = HandleOf(OwnerOf(piece)),
          .from = {piece.offset, piece.bytes},
          .to = {move.to, piece.bytes}};
}

bool CompactingHeap::IsDoomed(const region::StartedMove& move) const noexcept {
  return records_.At(move.source).state == State::kDoomed;
}

bool CompactingHeap::IsPinned(const region::StartedMove& move) const noexcept {
  return OwnerOf(records_.At(move.source)).pins != 0;
}

void CompactingHeap::Finish(const region::StartedMove& move) noexcept {
  Record& piece = records_.At(move.source);
  Record& reserved = records_.At(move.reserved);
  const Range from = HeldBy(piece);
  index_.Erase(reserved);
  reserved_bytes_ -= reserved.bytes;
  records_.PutBack(reserved);
  index_.Erase(piece);
  piece.offset = move.to;
  piece.is_parked = false;
  piece.is_moving = false;
  index_.Insert(piece);
  const uint64_t begin = std::max(from.offset, move.to + from.size);
  const Range left = {begin, from.end() - begin};
  // A defragmentation gives back when it has ended; a plan's moves are for themselves.
  if (is_defragmenting_) {
    space_.Leave(left);
  } else {
    space_.GiveBack(left);
  }
}

void CompactingHeap::Cancel(const region::StartedMove& move) noexcept {
  Record& piece = records_.At(move.source);
  Record& reserved = records_.At(move.reserved);
  index_.Erase(reserved);
  reserved_bytes_ -= reserved.bytes;
  space_.GiveBack(HeldBy(reserved));
  records_.PutBack(reserved);
  piece.is_moving = false;
  if (piece.state == State::kDoomed) {
    index_.Erase(piece);
    const Range held = HeldBy(piece);
    freed_bytes_ += held.size;
    MarkUnused(held);
    space_.GiveBack(held);
    records_.PutBack(piece);
  } else if (!IsPinned(move)) {
    index_.Unpark(piece);
  }
  Disturbed();
}

bool CompactingHeap::CopyAndFinish(Run& run, const region::StartedMove& move) noexcept {
  if (IsDoomed(move) || IsPinned(move)) {
    Cancel(move);
    ++run.report.abandoned_moves;
    ++run.moves;
    return false;
  }
  const Record& piece = records_.At(move.source);
  const uint64_t bytes = piece.bytes;
  const uint64_t end_before = space_.end_bytes();
  CopyBytes(piece, move.to);
  Finish(move);
  Count(run, bytes, move.is_slide, end_before);
  return true;
}

// --- By itself ----------------------------------------------------------------------------------

bool CompactingHeap::WantsStep(const AutomaticDefrag& automatic) noexcept {
  if (!automatic.enabled || is_defragmenting_ || space_.data() == nullptr) return false;
  if (space_.end_bytes() < automatic.min_end_bytes) return false;
  if (freed_bytes_ < rest_until_freed_bytes_) return false;
  const double fragmentation = Fragmentation();
  if (!is_stepping_ && fragmentation <= automatic.begin_fragmentation) return false;
  is_stepping_ =
      fragmentation > automatic.end_fragmentation || (is_stepping_ && HasMemoryToGiveBack());
  return is_stepping_;
}

void CompactingHeap::StepEnded(const AutomaticDefrag& automatic,
                               const DefragReport& report) noexcept {
  is_stepping_ = report.stop == DefragStop::kBudget;
  if (report.stop != DefragStop::kNoProgress) return;
  // Not again for each block that is freed.
  rest_until_freed_bytes_ = freed_bytes_ + std::max(automatic.step_bytes, space_.end_bytes() / 16);
}

void CompactingHeap::StepIfDue() noexcept {
  const AutomaticDefrag& automatic = options_.automatic;
  if (!WantsStep(automatic)) return;
  StepEnded(automatic, Defragment(MoveBudget::Step(automatic.step_bytes),
                                  {.max_fragmentation = automatic.end_fragmentation}));
}

}  // namespace granary
