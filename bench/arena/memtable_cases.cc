// A memtable of 8 MiB in blocks of 1 MiB, filled and dropped; once before the timed ones. An
// operation is one insert's memory.
//
//   memtable/aligned   node, key and value in one aligned allocation, as RocksDB's skip list has
//   them memtable/bytes     the node's links aligned, key and value as a byte string, as LevelDB
//   has them
//
// The first word of each node is written, as a skip list writes its links; key and value are not,
// since copying them costs the same whoever gave the memory.
#include <cstdint>
#include <span>

#include "bench/arena/batch.h"
#include "bench/arena/cases.h"
#include "bench/arena/implementations.h"
#include "bench/arena/sizes.h"

namespace granary::bench {
namespace {

using Entries = std::span<const MemtableEntry>;

struct NodesWithData {
  template <class Implementation>
  [[gnu::noinline]] static void FillAndDrop(Implementation& implementation, Entries entries) {
    for (const MemtableEntry& entry : entries) {
      void* const node = implementation.Aligned(entry.links_bytes + entry.data_bytes);
      *static_cast<uint64_t*>(node) = entry.data_bytes;
      benchmark::DoNotOptimize(node);
    }
    implementation.Reset();
  }
};

struct NodesAndByteStrings {
  template <class Implementation>
  [[gnu::noinline]] static void FillAndDrop(Implementation& implementation, Entries entries) {
    for (const MemtableEntry& entry : entries) {
      void* const data = implementation.Bytes(entry.data_bytes);
      benchmark::DoNotOptimize(data);
      void* const node = implementation.Aligned(entry.links_bytes);
      *static_cast<uint64_t*>(node) = entry.data_bytes;
      benchmark::DoNotOptimize(node);
    }
    implementation.Reset();
  }
};

template <class Implementation, class Layout>
void RunMemtable(benchmark::State& state) {
  const Entries entries = MemtableEntries();
  const Subject<Implementation> subject;
  Layout::FillAndDrop(*subject, entries);
  for (auto _ : state) Layout::FillAndDrop(*subject, entries);
  SetOperations(state, entries.size());
}

}  // namespace

void RegisterMemtableCases() {
  ForEach<kMiB>(AlignedImplementations(), []<class I>() {
    Register("memtable/aligned", I::kName, RunMemtable<I, NodesWithData>);
  });
  ForEach<kMiB>(BytesImplementations(), []<class I>() {
    // LevelDB's arena does not align to 16 bytes.
    if constexpr (requires(I i) { i.Aligned(1); }) {
      Register("memtable/bytes", I::kName, RunMemtable<I, NodesAndByteStrings>);
    }
  });
}

}  // namespace granary::bench
