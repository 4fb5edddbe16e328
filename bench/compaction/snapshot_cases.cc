#include "bench/compaction/snapshot_cases.h"

#include <benchmark/benchmark.h>
#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bench/compaction/checked.h"
#include "bench/compaction/temporary_folder.h"
#include "bench/program.h"
#include "memory/file.h"
#include "memory/region/region_allocator.h"
#include "memory/region/region_snapshot.h"

namespace granary::bench {
namespace {

constexpr uint64_t kFreeRanges = 100'000;
constexpr SnapshotLabel kLabel = {.identity = 1, .epoch = 1};

// Ranges of up to 1 KiB with a used one between them, freed in any order.
RegionAllocator MakeFragmented() {
  std::mt19937_64 random(1);
  const auto some_bytes = [&] { return 16 * (1 + random() % 64); };
  std::vector<Range> ranges;
  uint64_t end = 0;
  for (uint64_t i = 0; i < kFreeRanges; ++i) {
    ranges.push_back({end, some_bytes()});
    end += ranges.back().size + some_bytes();
  }
  auto region = Surely(RegionAllocator::Create(end, {.grain = 16}));
  if (!region.Reserve({0, end})) Die("a region cannot be filled");
  for (size_t i = ranges.size() - 1; i > 0; --i) std::swap(ranges[i], ranges[random() % (i + 1)]);
  for (const Range& range : ranges) {
    if (region.Free(range) != FreeStatus::kOk) Die("a range cannot be freed");
  }
  return region;
}

const RegionAllocator& Fragmented() {
  static const auto* const region = new RegionAllocator(MakeFragmented());
  return *region;
}

// The bytes of the snapshot: what is written and read raw.
const std::vector<std::byte>& Encoded() {
  static const auto* const encoded =
      new EncodedSnapshot(EncodeSnapshot(Fragmented().Image(), kLabel));
  return encoded->bytes;
}

void SaveRaw(const std::string& path) {
  {
    const File file = Surely(File::Open(path + ".new", O_WRONLY | O_CREAT | O_TRUNC));
    Surely(file.WriteAt(0, Encoded()));
    Surely(file.Sync());
  }
  Surely(RenameDurably(path + ".new", path));
}

void LoadRaw(const std::string& path) {
  const File file = Surely(File::Open(path, O_RDONLY));
  std::vector<std::byte> bytes(static_cast<size_t>(Surely(file.Size())));
  Surely(file.ReadAt(0, bytes));
  benchmark::DoNotOptimize(bytes.data());
}

void Save(const std::string& path) { Surely(SaveSnapshot(Fragmented(), path, kLabel)); }

void Load(const std::string& path) {
  const LoadedSnapshot loaded = Surely(LoadSnapshot(path));
  if (loaded.region.Stats().free_ranges != kFreeRanges) Die("a snapshot is not what was saved");
}

using Action = void (*)(const std::string& path);

void Register(const char* name, Action save, Action action) {
  benchmark::RegisterBenchmark(name, [save, action](benchmark::State& state) {
    const TemporaryFolder folder;
    const std::string path = folder.PathOf("snapshot");
    // Once before: the file is there, and its bytes are in the page cache.
    save(path);
    action(path);
    for (auto iteration : state) action(path);
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
    state.counters["file_bytes"] = static_cast<double>(Encoded().size());
  })->UseRealTime();  // Waiting for the disk counts.
}

}  // namespace

void RegisterSnapshots() {
  Register("compaction/snapshot/save/granary", Save, Save);
  Register("compaction/snapshot/save/raw", SaveRaw, SaveRaw);
  Register("compaction/snapshot/load/granary", Save, Load);
  Register("compaction/snapshot/load/raw", SaveRaw, LoadRaw);
}

}  // namespace granary::bench
