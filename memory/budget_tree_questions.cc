// What a budget's tree says of itself: snapshots, and who holds what a request would need.
#include <algorithm>

#include "memory/budget_tree.h"

namespace granary {

BudgetStats BudgetTree::Stats(const MemoryBudget& node) noexcept {
  BudgetStats stats;
  (void)Snapshot(node, &stats, 1);
  return stats;
}

size_t BudgetTree::Snapshot(const MemoryBudget& node, BudgetStats* out, size_t out_count) noexcept {
  const Lock lock(mutex_);
  size_t count = 0;
  // The way down to a node.
  struct Step {
    const MemoryBudget& node;
    size_t row;
    const Step* above;
  };
  const auto add = [&](const auto& self, const MemoryBudget& at, size_t depth,
                       const Step* above) -> void {
    const size_t row = count++;
    const Step step{at, row, above};
    if (row < out_count) {
      out[row] = {.name = at.name_,
                  .number = at.number_,
                  .depth = depth,
                  .hard_limit_bytes = at.hard_limit_,
                  .soft_limit_bytes = at.soft_limit_,
                  .taken_bytes = at.taken_,
                  .peak_bytes = at.peak_,
                  .escaped_bytes = at.escaped_,
                  .refusals = at.refusals_,
                  .waits = at.waits_,
                  .timeouts = at.timeouts_,
                  .reclaimed_bytes = at.reclaimed_,
                  .is_aborted = at.aborted_.load(std::memory_order_relaxed) != nullptr,
                  .rounds = rounds_};
    }
    // What is prepaid is taken from the account's budget up to where its charges end.
    for (const BudgetAccount& account : at.accounts_) {
      // Once: its owner goes on.
      const size_t credit = account.credit();
      for (const Step* on = &step; on != nullptr && &on->node != account.below_; on = on->above) {
        if (on->row < out_count) out[on->row].prepaid_bytes += credit;
      }
    }
    for (const MemoryBudget& child : at.children_) self(self, child, depth + 1, &step);
  };
  add(add, node, 0, nullptr);
  return count;
}

BudgetTree::Holders BudgetTree::HoldersAgainst(const Request& request) noexcept {
  const Lock lock(mutex_);
  Holders holders;
  const MemoryBudget* const full = FindFull(request);
  holders.limit_bytes = request.node->hard_limit_;
  if (full == nullptr) return holders;
  holders.limit = full;
  holders.limit_bytes = full->hard_limit_;
  holders.taken_bytes = holders.others_bytes = full->taken_;
  // The largest, by insertion.
  const auto insert = [](std::array<Holders::Holder, Holders::kMax>& largest, size_t& count,
                         const Holders::Holder& holder) {
    if (holder.bytes == 0) return;
    size_t place = count;
    while (place > 0 && largest[place - 1].bytes < holder.bytes) --place;
    if (place == Holders::kMax) return;
    count = std::min(count + 1, Holders::kMax);
    std::move_backward(largest.begin() + place, largest.begin() + count - 1,
                       largest.begin() + count);
    largest[place] = holder;
  };
  for (const MemoryBudget& child : full->children_) {
    // A child may have more than it has of this: memory that another node is charged for.
    insert(holders.largest, holders.count, {child.name_, child.number_, child.passed_up_});
    for (const MemoryBudget& below : child.children_) {
      insert(holders.below, holders.below_count, {below.name_, below.number_, below.taken_});
    }
  }
  for (size_t i = 0; i < holders.count; ++i) {
    holders.others_bytes -= std::min(holders.others_bytes, holders.largest[i].bytes);
  }
  return holders;
}

}  // namespace granary
