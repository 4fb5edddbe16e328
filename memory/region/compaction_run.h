// CompactionRun: one defragmentation while it goes on. Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_COMPACTION_RUN_H_
#define GRANARY_MEMORY_REGION_COMPACTION_RUN_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "memory/region/heap_types.h"

namespace granary::region {

// What may be done, what was, and what is left.
struct CompactionRun {
  // Blocks that are looked at and left where they are: so many in any case.
  static constexpr uint64_t kLooksMin = 32;
  static constexpr uint64_t kLooksPerMove = 4;
  static constexpr uint64_t kBytesPerLook = 512;

  CompactionRun(const MoveBudget& a_budget, const DefragGoal& a_goal) noexcept
      : budget(a_budget),
        goal(a_goal),
        part_bytes(a_budget.deadline ? kPartBytes : MoveBudget::kNoLimit),
        looks_left(kLooksMin +
                   std::min(a_budget.bytes / kBytesPerLook,
                            std::min(a_budget.moves, MoveBudget::kNoLimit / 16) * kLooksPerMove)) {}

  uint64_t bytes_left() const noexcept { return budget.bytes - bytes; }
  bool CanMove() const noexcept { return moves < budget.moves; }
  // How much memory may go back to the system when the moves have ended. That takes about twice as
  // long as copying, so: half of the bytes that are left, and a little in any case, lest it never
  // goes.
  uint64_t GiveBackMax() const noexcept {
    if (report.stop == DefragStop::kDeadline) return kGiveBackMin;
    if (!has_limit()) return MoveBudget::kNoLimit;
    const uint64_t spent = std::max(bytes, moves * MoveBudget::kMoveBytes);
    return kGiveBackMin + (budget.bytes - std::min(budget.bytes, spent)) / 2;
  }
  bool has_limit() const noexcept { return budget.bytes != MoveBudget::kNoLimit; }
  bool IsLate() const {
    return budget.deadline && std::chrono::steady_clock::now() >= *budget.deadline;
  }
  // False if there are none left.
  bool Look() noexcept {
    if (looks_left == 0) return false;
    --looks_left;
    return true;
  }

  MoveBudget budget;
  DefragGoal goal;
  // A larger block is moved in parts of so many, if it can be.
  uint64_t part_bytes;
  bool moves_in_parts = true;
  // Blocks may be moved onto themselves.
  bool moves_onto_itself = true;
  // Objects that have to be told.
  bool moves_typed = true;

  uint64_t looks_left;
  // So far.
  uint64_t bytes = 0;
  uint64_t moves = 0;
  DefragReport report = {};

 private:
  static constexpr uint64_t kPartBytes = uint64_t{256} << 10;
  static constexpr uint64_t kGiveBackMin = uint64_t{16} << 10;
};

// A move whose space is taken and whose block is marked. Numbers are those of records.
struct StartedMove {
  uint32_t source = 0;
  // Holds what `to` has that the block did not.
  uint32_t reserved = 0;
  uint64_t to = 0;
  bool is_slide = false;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_COMPACTION_RUN_H_
