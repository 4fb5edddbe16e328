#include "bench/compaction/shrink_cases.h"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "bench/compaction/blob_keepers.h"
#include "bench/compaction/blob_orders.h"
#include "bench/compaction/checked.h"
#include "bench/compaction/sqlite_blobs.h"
#include "bench/compaction/temporary_folder.h"

namespace granary::bench {
namespace {

constexpr uint64_t kStepBytes = uint64_t{64} << 10;

// All blobs in one change, and half of them out of it in another; returns the bytes of the rest.
template <class Keeper>
uint64_t FillAndThin(Keeper& keeper) {
  std::vector<typename Keeper::Id> ids;
  uint64_t left_bytes = 0;
  keeper.Begin();
  for (const auto& bytes : Blobs()) {
    ids.push_back(keeper.Add(bytes));
    left_bytes += bytes.size();
  }
  keeper.Commit();
  keeper.Begin();
  for (uint32_t i = 0; i < kBlobs / 2; ++i) {
    const uint32_t number = RemovalOrder()[i];
    keeper.Remove(ids[number]);
    left_bytes -= Blobs()[number].size();
  }
  keeper.Commit();
  return left_bytes;
}

struct Shrunk {
  uint64_t steps = 0;
  uint64_t moved_bytes = 0;
};

Shrunk ShrinkAll(BlobStore& store) {
  Shrunk shrunk;
  for (;;) {
    const ShrinkReport step = Surely(store.Shrink(kStepBytes));
    if (step.is_done) return shrunk;
    Surely(store.Checkpoint());
    ++shrunk.steps;
    shrunk.moved_bytes += step.moved_bytes;
  }
}

Counts CountGranary(bool shrinks) {
  const TemporaryFolder folder;
  const std::string path = folder.PathOf("blobs");
  GranaryBlobs keeper(path);
  const uint64_t left_bytes = FillAndThin(keeper);
  const auto bytes_before = static_cast<double>(std::filesystem::file_size(path));
  Counts counts;
  if (shrinks) {
    const Shrunk shrunk = ShrinkAll(keeper.store());
    const double reclaimed = bytes_before - static_cast<double>(std::filesystem::file_size(path));
    counts["moved_per_reclaimed"] = static_cast<double>(shrunk.moved_bytes) / reclaimed;
    counts["steps"] = static_cast<double>(shrunk.steps);
  }
  counts["held_per_asked"] =
      static_cast<double>(std::filesystem::file_size(path)) / static_cast<double>(left_bytes);
  return counts;
}

Counts CountSqlite(bool shrinks) {
  const TemporaryFolder folder;
  const std::string path = folder.PathOf("blobs");
  SqliteBlobs keeper(path);
  const uint64_t left_bytes = FillAndThin(keeper);
  if (shrinks) keeper.Vacuum();
  return {{"held_per_asked", static_cast<double>(std::filesystem::file_size(path)) /
                                 static_cast<double>(left_bytes)}};
}

void TimeSteps(benchmark::State& state) {
  uint64_t steps = 0;
  for (auto iteration : state) {
    state.PauseTiming();
    {
      const TemporaryFolder folder;
      GranaryBlobs keeper(folder.PathOf("blobs"));
      FillAndThin(keeper);
      state.ResumeTiming();
      steps += ShrinkAll(keeper.store()).steps;
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(steps));
}

}  // namespace

void RegisterShrink() {
  // Waiting for the disk counts.
  benchmark::RegisterBenchmark("compaction/shrink/granary", TimeSteps)->UseRealTime();
}

std::vector<CountedCase> CountedShrink() {
  return {{"compaction/space_shrink/granary", [] { return CountGranary(true); }},
          {"compaction/space_shrink/granary_unmoved", [] { return CountGranary(false); }},
          {"compaction/space_shrink/sqlite", [] { return CountSqlite(true); }},
          {"compaction/space_shrink/sqlite_unmoved", [] { return CountSqlite(false); }}};
}

}  // namespace granary::bench
