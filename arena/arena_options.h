// What an Arena is told when it is made, and what it tells of itself.
#ifndef GRANARY_ARENA_ARENA_OPTIONS_H_
#define GRANARY_ARENA_ARENA_OPTIONS_H_

#include <cstddef>
#include <cstdint>

#include "memory/error.h"
#include "memory/memory_resource.h"
#include "memory/sanitizer.h"

namespace granary {

// What an arena keeps for its next use when it is reset.
class Retention {
 public:
  enum class Kind : uint8_t { kKeepAll, kAdaptive, kKeepBytes, kRelease };

  // Keeps every block: after the largest use, no use calls upstream. For uses of one size.
  static constexpr Retention KeepAll() noexcept { return Retention(Kind::kKeepAll, SIZE_MAX); }

  // Keeps up to one and a half times the 90th percentile of what a use took, the older uses
  // counting less: a single large use does not hold its memory for ever. The default.
  static constexpr Retention Adaptive() noexcept { return Retention(Kind::kAdaptive, SIZE_MAX); }

  // Keeps at most `bytes` of what came from upstream.
  static constexpr Retention KeepBytes(size_t bytes) noexcept {
    return Retention(Kind::kKeepBytes, bytes);
  }

  // Keeps nothing but a first block that the caller gave.
  static constexpr Retention Release() noexcept { return Retention(Kind::kRelease, 0); }

  constexpr Kind kind() const noexcept { return kind_; }

  // The most bytes that may be kept where that does not depend on the past, otherwise SIZE_MAX.
  constexpr size_t limit_bytes() const noexcept { return limit_bytes_; }

 private:
  constexpr Retention(Kind kind, size_t limit_bytes) noexcept
      : kind_(kind), limit_bytes_(limit_bytes) {}

  Kind kind_;
  size_t limit_bytes_;
};

// Whether an arena puts red zones around what it hands out, fills what it takes back, and checks
// owner thread and marks. An arena that checks never takes the inlined path; one that does not has
// the same inlined path in every build.
enum class Checks : uint8_t {
  kByBuild,  // kOn in debug and sanitizer builds, otherwise kOff.
  kOn,
  kOff,
};

struct ArenaOptions {
  static constexpr size_t kSmallestBlockBytes = 256;
  static constexpr size_t kLargestBlockBytes = size_t{1} << 30;
  static constexpr size_t kLargestGrowthDivisor = 1024;

  // Usable bytes of the first block; later blocks double what is held until they reach the maximum.
  // 256 B <= first_block_bytes <= max_block_bytes <= 1 GiB. On an upstream that has blocks of one
  // size (MemoryResource::block_bytes) every block is one of those, its header included.
  size_t first_block_bytes = 4096;
  size_t max_block_bytes = size_t{1} << 20;
  // Above 1, up to 1024: a later block has this part of what is held instead, which bounds what
  // lies free in it as a share of what is used, at the price of more blocks. A request that opens
  // such a block finds a whole number of its size in it, and requests up to half the first block
  // never stand aside, so that small blocks waste little on objects that nearly fill them.
  size_t growth_divisor = 1;
  // What Reset() keeps.
  Retention retention = Retention::Adaptive();
  // Where blocks come from; must outlive the arena. nullptr is MallocResource::Default().
  MemoryResource* upstream = nullptr;
  // For reports; must outlive the arena.
  const char* name = "arena";
  Checks checks = Checks::kByBuild;

  // An error that names the option at fault, or nothing. For options that come from outside the
  // program: the Arena's constructor reports the same error and aborts.
  Expected<void> Validate() const;
  // Whether there is none; a few comparisons.
  bool IsValid() const noexcept {
    return first_block_bytes >= kSmallestBlockBytes && max_block_bytes <= kLargestBlockBytes &&
           first_block_bytes <= max_block_bytes && growth_divisor >= 1 &&
           growth_divisor <= kLargestGrowthDivisor && name != nullptr;
  }
};

// An arena's figures of this moment, in bytes unless they say count.
struct ArenaStats {
  // Handed out. The inlined path counts nothing, so this is read off the cursors and includes the
  // padding that they skip.
  size_t asked_bytes = 0;
  // asked_bytes, the headers of blocks in use, and lost_to_tails_bytes.
  size_t used_bytes = 0;
  // Taken from upstream, in use or retained.
  size_t held_bytes = 0;
  // Left unused at the end of blocks that are full.
  size_t lost_to_tails_bytes = 0;
  // Blocks held, in use or retained, without large objects; a block that the caller gave counts.
  size_t block_count = 0;
  // Large objects in use, and their bytes with headers.
  size_t large_count = 0;
  size_t large_bytes = 0;
  // Retained, ready to be used without a call upstream.
  size_t retained_bytes = 0;
};

}  // namespace granary

#endif  // GRANARY_ARENA_ARENA_OPTIONS_H_
