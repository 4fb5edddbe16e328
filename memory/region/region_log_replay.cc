// What a region log says, as far as it is whole.
#include <fcntl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "memory/region/region_log.h"
#include "memory/region/region_log_format.h"
#include "memory/region/varint.h"

namespace granary {

namespace {

using region::GetVarint;

tl::unexpected<Error> Refuse(std::string message, ErrorCode code = ErrorCode::kCorrupt) {
  return tl::unexpected(
      Error{.code = code, .message = std::move(message), .where = "ReplayRegionLog"});
}

std::string AtByte(uint64_t offset) { return "at byte " + std::to_string(offset); }

Expected<void> CheckHeader(std::span<const std::byte> log, const RegionLogLabel& label) {
  if (log.size() < region::kLogHeaderBytes) {
    return Refuse("a file of " + std::to_string(log.size()) + " bytes is no region log");
  }
  if (GetFixed<uint64_t>(log.data() + region::kMagicAt) != region::kLogMagic) {
    return Refuse("this is no region log: it does not begin with GRAREGLG");
  }
  const auto version = GetFixed<uint32_t>(log.data() + region::kVersionAt);
  if (version != region::kLogVersion) {
    return Refuse("version " + std::to_string(version) + " of region logs is not known, " +
                      std::to_string(region::kLogVersion) + " is",
                  ErrorCode::kUnsupported);
  }
  if (GetFixed<uint32_t>(log.data() + region::kEndianTagAt) != region::kEndianTag) {
    return Refuse("bytes are in another order than they should (byte 12)");
  }
  if (GetFixed<uint32_t>(log.data() + region::kLogChecksumAt) !=
      Crc32c(log.first(region::kLogChecksumAt))) {
    return Refuse("the checksum of the header, at byte 36, does not agree");
  }
  const auto expected = region::LogHeader(label);
  if (std::equal(expected.begin(), expected.end(), log.begin())) return {};
  const auto of = [](uint64_t identity, uint64_t epoch, uint32_t checksum) {
    return "snapshot " + std::to_string(epoch) + " of region " + std::to_string(identity) +
           " with checksum " + std::to_string(checksum);
  };
  return Refuse("the log follows " +
                of(GetFixed<uint64_t>(log.data() + region::kLogIdentityAt),
                   GetFixed<uint64_t>(log.data() + region::kLogEpochAt),
                   GetFixed<uint32_t>(log.data() + region::kLogSnapshotChecksumAt)) +
                ", not " +
                of(label.snapshot.identity, label.snapshot.epoch, label.snapshot_checksum));
}

// Whether the region did what the log says that it did.
bool Apply(const RegionChange& change, RegionAllocator& region) {
  using Kind = RegionChange::Kind;
  switch (change.kind) {
    case Kind::kAllocate:
      return region.Reserve(change.range);
    case Kind::kFree:
      return region.Free(change.range) == FreeStatus::kOk;
    case Kind::kFreeDeferred:
      return region.FreeDeferred(change.range, change.number) == FreeStatus::kOk;
    case Kind::kReleaseUpTo:
      return region.ReleaseUpTo(change.number) > 0;
    case Kind::kResizeForward:
      return region.Resize(change.range, change.number, RegionAllocator::Grow::kForward)
          .has_value();
    case Kind::kResizeBackward:
      return region.Resize(change.range, change.number, RegionAllocator::Grow::kBackward)
          .has_value();
    case Kind::kExtend:
      return region.Extend(change.number).has_value();
    case Kind::kTruncate:
      return region.Truncate(change.number);
  }
  return false;
}

// A log whose header is the right one.
class Replayer {
 public:
  Replayer(std::span<const std::byte> log, const RegionLogLabel& label, RegionAllocator region)
      : log_(log),
        header_checksum_(region::LogHeaderChecksum(region::LogHeader(label))),
        replay_{.region = std::move(region),
                .good_bytes = region::kLogHeaderBytes,
                .bytes = log.size(),
                .torn = {}} {}

  Expected<RegionReplay> Replay() {
    while (replay_.good_bytes < log_.size()) {
      const auto group = log_.subspan(replay_.good_bytes);
      replay_.torn = WhyTorn(group);
      if (!replay_.torn.empty()) {
        if (const uint64_t later = LaterGroup(); later != 0) {
          return Refuse(replay_.torn + ", and was synced before the group " + AtByte(later) +
                        " was written");
        }
        break;
      }
      if (auto done = Group(BytesOf(group)); !done) return tl::unexpected(std::move(done.error()));
    }
    return std::move(replay_);
  }

 private:
  static uint64_t Field(std::span<const std::byte> group, size_t at) {
    return GetFixed<uint64_t>(group.data() + at);
  }
  static std::span<const std::byte> BytesOf(std::span<const std::byte> group) {
    return group.first(region::kGroupHeaderBytes + Field(group, region::kGroupBytesAt));
  }

  // Whether a whole group begins there.
  bool IsWhole(std::span<const std::byte> group) const {
    return group.size() >= region::kGroupHeaderBytes &&
           GetFixed<uint32_t>(group.data()) == region::kGroupMagic &&
           Field(group, region::kGroupBytesAt) <= group.size() - region::kGroupHeaderBytes &&
           GetFixed<uint32_t>(group.data() + region::kGroupChecksumAt) ==
               region::GroupChecksum(BytesOf(group), header_checksum_);
  }

  std::string WhyTorn(std::span<const std::byte> group) const {
    if (IsWhole(group)) {
      if (Field(group, region::kGroupSequenceAt) == replay_.changes) return {};
      return "the group " + AtByte(replay_.good_bytes) + " begins with change " +
             std::to_string(Field(group, region::kGroupSequenceAt)) + ", not " +
             std::to_string(replay_.changes);
    }
    return "the group " + AtByte(replay_.good_bytes) + ", from change " +
           std::to_string(replay_.changes) + " on, is not whole";
  }

  // Where a group is that was written when the one that is not whole had been synced: that is no
  // tail which a crash has left. 0 for none.
  uint64_t LaterGroup() const {
    for (uint64_t at = replay_.good_bytes + 1; at + region::kGroupHeaderBytes <= log_.size();
         ++at) {
      const auto group = log_.subspan(at);
      if (GetFixed<uint32_t>(group.data()) != region::kGroupMagic) continue;
      if (Field(group, region::kGroupSyncedAt) > replay_.changes && IsWhole(group)) return at;
    }
    return 0;
  }

  Expected<void> Group(std::span<const std::byte> group) {
    // Numbers may be read beyond their end.
    const size_t bytes = group.size() - region::kGroupHeaderBytes;
    scratch_.assign(bytes + region::kVarintBytesMax, std::byte{0});
    std::copy(group.begin() + region::kGroupHeaderBytes, group.end(), scratch_.begin());
    const std::byte* at = scratch_.data();
    const std::byte* const end = at + bytes;
    while (at < end) {
      const std::byte* const begin = at;
      const uint64_t begin_byte = replay_.good_bytes + region::kGroupHeaderBytes +
                                  static_cast<uint64_t>(begin - scratch_.data());
      const auto change = Next(at, end);
      if (!change) {
        return Refuse("what is " + AtByte(begin_byte) + " is no change");
      }
      if (change->kind == RegionChange::Kind::kExtend) {
        // There may be no address space for it.
        auto extended = replay_.region.Extend(change->number);
        if (!extended && extended.error().code == ErrorCode::kOutOfMemory) return extended;
        if (extended) {
          ++replay_.changes;
          continue;
        }
      }
      if (!Apply(*change, replay_.region)) {
        return Refuse("change " + std::to_string(replay_.changes) + ", " + AtByte(begin_byte) +
                      ", of kind " + std::to_string(static_cast<int>(change->kind)) +
                      ", cannot be of this region: offset " + std::to_string(change->range.offset) +
                      ", size " + std::to_string(change->range.size) + ", number " +
                      std::to_string(change->number));
      }
      ++replay_.changes;
    }
    ++replay_.groups;
    replay_.good_bytes += group.size();
    return {};
  }

  // The change at `at`, which is behind it then; nothing if there is none.
  std::optional<RegionChange> Next(const std::byte*& at, const std::byte* end) const {
    using Kind = RegionChange::Kind;
    const uint64_t grain = replay_.region.options().grain;
    RegionChange change;
    change.kind = static_cast<Kind>(*at++);
    if (change.kind < Kind::kAllocate || change.kind > Kind::kTruncate) return std::nullopt;
    const auto number = [&](uint64_t unit) -> std::optional<uint64_t> {
      uint64_t read = 0;
      if (at == nullptr || at >= end) return std::nullopt;
      at = GetVarint(at, read);
      if (at == nullptr || at > end || read > UINT64_MAX / unit) return std::nullopt;
      return read * unit;
    };
    if (region::HasRange(change.kind)) {
      const auto offset = number(grain);
      const auto size = number(grain);
      if (!offset || !size) return std::nullopt;
      change.range = {*offset, *size};
    }
    if (region::HasNumber(change.kind)) {
      const bool is_epoch = change.kind == Kind::kFreeDeferred || change.kind == Kind::kReleaseUpTo;
      const auto read = number(is_epoch ? 1 : grain);
      if (!read) return std::nullopt;
      change.number = *read;
    }
    return change;
  }

  const std::span<const std::byte> log_;
  const uint32_t header_checksum_;
  RegionReplay replay_;
  std::vector<std::byte> scratch_;
};

}  // namespace

Expected<RegionReplay> ReplayRegionLog(std::span<const std::byte> log, const RegionLogLabel& label,
                                       RegionAllocator region) {
  if (auto checked = CheckHeader(log, label); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  return Replayer(log, label, std::move(region)).Replay();
}

Expected<RegionReplay> ReplayRegionLog(const std::string& path, const RegionLogLabel& label,
                                       RegionAllocator region, FileCalls& calls) {
  auto file = File::Open(path, O_RDONLY, 0, calls);
  if (!file) return tl::unexpected(std::move(file.error()));
  const auto size = file->Size();
  if (!size) return tl::unexpected(size.error());
  const auto bytes = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(*size));
  const std::span<std::byte> all(bytes.get(), static_cast<size_t>(*size));
  if (auto read = file->ReadAt(0, all); !read) return tl::unexpected(std::move(read.error()));
  auto replay = ReplayRegionLog(all, label, std::move(region));
  if (!replay) replay.error().message = path + ": " + replay.error().message;
  return replay;
}

}  // namespace granary
