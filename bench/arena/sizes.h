// The sizes that cases ask for. All come from fixed seeds, the same in every program and run.
#ifndef GRANARY_BENCH_ARENA_SIZES_H_
#define GRANARY_BENCH_ARENA_SIZES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "memory/error.h"

namespace granary::bench {

inline constexpr size_t kMiB = size_t{1} << 20;
// What a steady-state batch asks for before it starts over.
inline constexpr size_t kBatchBytes = kMiB;

// Small objects: uniform over 8 to 128 bytes; as many as make up a batch.
const std::vector<uint32_t>& SmallMix();

// One in 64 has 64 to 256 KiB, the others are as in SmallMix.
const std::vector<uint32_t>& LargeMix();

// What a memtable asks for to insert an entry.
struct MemtableEntry {
  // The links of the skip-list node, 8 bytes for each level.
  uint32_t links_bytes;
  // Key, 8 bytes of sequence number and type, and value.
  uint32_t data_bytes;
};

// The inserts that fill an 8 MiB memtable: heights with probability 1/4 for each further level and
// at most 12, keys of 16 to 24 bytes, log-normal values with a median of 100 bytes.
const std::vector<MemtableEntry>& MemtableEntries();

// The allocations of a recording (see bench/traces), read when first asked for and then kept.
const Expected<std::vector<uint32_t>>& TraceSizes(const std::string& name);

// Where TraceSizes looks.
void SetTracesDirectory(std::string directory);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_SIZES_H_
