// Any bytes as a region log, and as the changes of a group whose checksum agrees: they are refused,
// or replayed up to where they are whole, and the region is one.
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "memory/region/region_log.h"
#include "memory/region/region_log_format.h"
#include "memory/testing/fuzz_input.h"

namespace {

constexpr granary::RegionLogLabel kLabel = {.snapshot = {.identity = 1, .epoch = 2},
                                            .snapshot_checksum = 3};

void Replay(std::span<const std::byte> log, bool tracks) {
  auto region = granary::RegionAllocator::Create(
      16 * 200, {.grain = 16, .track_used = tracks, .max_ranges = 1000});
  granary::FuzzCheck(region.has_value());
  const auto replay = granary::ReplayRegionLog(log, kLabel, std::move(*region));
  if (!replay) {
    granary::FuzzCheck(!replay.error().message.empty());
    return;
  }
  granary::FuzzCheck(replay->region.Validate().has_value());
  granary::FuzzCheck(replay->good_bytes <= log.size());
  granary::FuzzCheck(replay->torn.empty() == (replay->good_bytes == log.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace region = granary::region;
  const auto given = std::as_bytes(std::span(data, size));
  const bool tracks = size % 2 != 0;
  Replay(given, tracks);

  const auto header = region::LogHeader(kLabel);
  std::vector<std::byte> log(header.begin(), header.end());
  log.insert(log.end(), given.begin(), given.end());
  Replay(log, tracks);

  // Groups of a few bytes, so that many a change is one, and a last one that is torn.
  log.resize(header.size());
  granary::FuzzInput input(data, size);
  uint64_t changes = 0;
  while (!input.empty()) {
    const size_t begin = log.size();
    log.resize(begin + region::kGroupHeaderBytes);
    const size_t count = 1 + input.Number(1) % 4;
    for (size_t i = 0; i < count; ++i) {
      const uint64_t kind = 1 + input.Number(1) % 8;
      log.push_back(static_cast<std::byte>(kind));
      const size_t numbers = kind == 1 || kind == 2 ? 2 : kind == 3 || kind > 4 ? 3 : 1;
      for (size_t n = kind > 6 ? 2 : 0; n < numbers; ++n) {
        log.push_back(static_cast<std::byte>(input.Number(1) % 0x90));
      }
    }
    std::byte* const group = log.data() + begin;
    granary::PutFixed(group, region::kGroupMagic);
    granary::PutFixed(group + region::kGroupBytesAt,
                      uint64_t{log.size() - begin - region::kGroupHeaderBytes});
    granary::PutFixed(group + region::kGroupSequenceAt, changes);
    granary::PutFixed(group + region::kGroupSyncedAt, changes);
    granary::PutFixed(
        group + region::kGroupChecksumAt,
        region::GroupChecksum(std::span(log).subspan(begin), region::LogHeaderChecksum(header)));
    changes += count;
  }
  Replay(log, tracks);
  return 0;
}
