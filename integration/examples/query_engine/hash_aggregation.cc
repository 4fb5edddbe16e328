#include "integration/examples/query_engine/hash_aggregation.h"

#include <algorithm>

#include "integration/examples/query_engine/partitions.h"

namespace granary::query_engine {

HashAggregation::HashAggregation(QueryContext& context, Operator& next)
    : SpillingOperator(context, "aggregation"), next_(next), groups_(workspace()) {}

HashAggregation::~HashAggregation() { (void)StopSharing(); }

Expected<void> HashAggregation::Add(std::span<const Row> rows) {
  return InsertAll(rows, [this](const Row& row) { Insert(row); });
}

void HashAggregation::Insert(const Row& row) {
  const auto [group, is_new] = groups_->try_emplace(row.key, row);
  if (is_new) {
    ++rows_;
    return;
  }
  StoredRow& sums = group->second;
  // This first: it may be refused.
  if (row.text < sums.text) sums.text = row.text;
  sums.other = std::min(sums.other, row.other);
  sums.amount += row.amount;
  sums.count += row.count;
}

Expected<void> HashAggregation::Spill() {
  if (rows_ == 0) return {};
  if (level_ == Partitions<SpilledRows>::kLevelsMax) return tl::unexpected(TooDeep());
  for (const auto& [key, group] : *groups_) {
    if (auto done = file().Append(ListOf(key, level_), group.view()); !done) return done;
  }
  groups_.Clear();
  rows_ = 0;
  has_spilled_ = true;
  return {};
}

Expected<void> HashAggregation::Finish() {
  if (auto mine = StopSharing(); !mine) return mine;
  Partitions<SpilledRows> todo;
  for (;;) {
    if (has_spilled_) {
      if (auto done = Spill(); !done) return done;
      const auto lists = file().EndLists();
      if (!lists) return tl::unexpected(lists.error());
      for (const SpilledRows& list : *lists) {
        if (list.count != 0) todo.Push(list, level_ + 1);
      }
      has_spilled_ = false;
    } else {
      if (auto done = EmitGroups(); !done) return done;
    }
    if (todo.empty()) return next_.Finish();

    const auto partition = todo.Pop();
    level_ = partition.level;
    SpillFile::Reader reader(file(), partition.rows, SpillFile::kListsMax);
    Row row;
    for (;;) {
      const auto more = reader.Next(&row);
      if (!more) return tl::unexpected(more.error());
      if (!*more) break;
      auto done = InsertOne(row, [this](const Row& read) { Insert(read); });
      if (!done) return done;
    }
  }
}

Expected<void> HashAggregation::EmitGroups() {
  if (auto going_on = context().memory.Check(); !going_on) return going_on;
  Batch batch(next_);
  for (const auto& [key, group] : *groups_) {
    if (auto done = batch.Add(group.view()); !done) return done;
  }
  if (auto done = batch.Flush(); !done) return done;
  groups_.Clear();
  rows_ = 0;
  return {};
}

}  // namespace granary::query_engine
