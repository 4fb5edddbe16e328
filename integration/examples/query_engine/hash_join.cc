#include "integration/examples/query_engine/hash_join.h"

namespace granary::query_engine {

HashJoin::HashJoin(QueryContext& context, Operator& next)
    : SpillingOperator(context, "join"), next_(next), build_(*this), table_(workspace()) {}

HashJoin::~HashJoin() { (void)StopSharing(); }

// --- The build side -----------------------------------------------------------------------------

Expected<void> HashJoin::Build::Add(std::span<const Row> rows) {
  return join_.InsertAll(rows, [this](const Row& row) { join_.Insert(row); });
}

Expected<void> HashJoin::Build::Finish() {
  if (auto mine = join_.StopSharing(); !mine) return mine;
  return join_.FinishBuild();
}

void HashJoin::Insert(const Row& row) {
  table_->emplace(row.key, row);
  ++rows_;
}

Expected<void> HashJoin::Spill() {
  if (rows_ == 0) return {};
  if (level_ == Partitions<Pair>::kLevelsMax) return tl::unexpected(TooDeep());
  for (const auto& [key, built] : *table_) {
    const Row row{.key = key, .other = built.other, .text = built.text};
    if (auto done = file().Append(ListOf(key, level_), row); !done) return done;
  }
  table_.Clear();
  rows_ = 0;
  has_spilled_ = true;
  return {};
}

// If a part of the build side has gone to the file, all of it does.
Expected<void> HashJoin::FinishBuild() {
  if (!has_spilled_) return {};
  if (auto done = Spill(); !done) return done;
  auto lists = file().EndLists();
  if (!lists) return tl::unexpected(std::move(lists.error()));
  build_lists_ = *lists;
  return {};
}

// --- The other side -----------------------------------------------------------------------------

Expected<void> HashJoin::Add(std::span<const Row> rows) {
  if (auto going_on = context().memory.Check(); !going_on) return going_on;
  if (has_spilled_) {
    for (const Row& row : rows) {
      if (auto done = file().Append(ListOf(row.key, level_), row); !done) return done;
    }
    return {};
  }
  Batch batch(next_);
  for (const Row& row : rows) {
    if (auto done = Probe(row, batch); !done) return done;
  }
  return batch.Flush();
}

Expected<void> HashJoin::Probe(const Row& row, Batch& batch) {
  const auto [begin, end] = table_->equal_range(row.key);
  for (auto built = begin; built != end; ++built) {
    auto done = batch.Add({.key = built->second.other,
                           .other = row.key,
                           .amount = row.amount,
                           .count = row.count,
                           .text = built->second.text});
    if (!done) return done;
  }
  return {};
}

Expected<void> HashJoin::Finish() {
  for (;;) {
    if (has_spilled_) {
      const auto probe_lists = file().EndLists();
      if (!probe_lists) return tl::unexpected(probe_lists.error());
      for (size_t i = 0; i < probe_lists->size(); ++i) {
        const Pair pair{build_lists_[i], (*probe_lists)[i]};
        if (pair.build.count != 0 && pair.probe.count != 0) todo_.Push(pair, level_ + 1);
      }
      has_spilled_ = false;
    }
    table_.Clear();
    rows_ = 0;
    if (todo_.empty()) return next_.Finish();

    const auto [pair, level] = todo_.Pop();
    level_ = level;
    if (auto done = JoinPair(pair); !done) return done;
  }
}

template <class Action>
Expected<void> HashJoin::ForEach(const SpilledRows& rows, const Action& action) {
  SpillFile::Reader reader(file(), rows, SpillFile::kListsMax);
  Row row;
  for (;;) {
    const auto more = reader.Next(&row);
    if (!more) return tl::unexpected(more.error());
    if (!*more) return {};
    if (auto done = action(row); !done) return done;
  }
}

Expected<void> HashJoin::JoinPair(const Pair& pair) {
  auto built = ForEach(pair.build, [this](const Row& row) {
    return InsertOne(row, [this](const Row& read) { Insert(read); });
  });
  if (!built) return built;
  if (auto done = FinishBuild(); !done) return done;
  if (has_spilled_) {
    return ForEach(pair.probe,
                   [this](const Row& row) { return file().Append(ListOf(row.key, level_), row); });
  }
  Batch batch(next_);
  auto probed = ForEach(pair.probe, [&](const Row& row) { return Probe(row, batch); });
  return probed ? batch.Flush() : probed;
}

}  // namespace granary::query_engine
