// Which sizes the cases ask for, and in which order. All come from fixed seeds, the same in every
// program and run.
#ifndef GRANARY_BENCH_REGION_ORDERS_H_
#define GRANARY_BENCH_REGION_ORDERS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace granary::bench {

// What implementations align to without being asked.
inline constexpr uint32_t kDefaultAlignment = 16;

struct Request {
  uint32_t bytes;
  uint32_t alignment;
};

// The allocation in `slot` is freed, and another made in its place.
struct Replacement {
  uint32_t slot;
  Request request;
};

struct ReplacementOrder {
  // A slot each.
  std::vector<Request> first;
  // Every second slot is freed before the replacements, which are of the others.
  bool frees_every_second = false;
  std::vector<Replacement> replacements;
};

// 10,000 allocations of 64 bytes to 256 KiB; each doubling is as frequent as any other.
const ReplacementOrder& LogUniform();
// 10,000 allocations of 16 to 1024 bytes in steps of 16, each replaced by one of its own size.
const ReplacementOrder& SmallExact();
// As LogUniform, up to 64 KiB, aligned to a power of two of 16 bytes to 64 KiB.
const ReplacementOrder& Aligned();
// A million allocations of 64 to 256 bytes, with a free range behind each.
const ReplacementOrder& MillionFree();

// A hundred sizes as in LogUniform.
const std::vector<Request>& LifoRequests();

// A permutation of the numbers below `count`.
std::vector<uint32_t> Shuffled(uint32_t count);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REGION_ORDERS_H_
