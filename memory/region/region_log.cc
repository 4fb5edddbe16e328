#include "memory/region/region_log.h"

#include <fcntl.h>

#include <array>
#include <utility>

#include "memory/crc32c.h"
#include "memory/little_endian.h"
#include "memory/region/region_log_format.h"
#include "memory/region/varint.h"

namespace granary {

namespace {

using region::PutVarint;

// A kind and four numbers at most.
constexpr size_t kChangeBytesMax = 1 + 4 * region::kVarintBytesMax;

Expected<void> SyncFolderOf(const std::string& path, FileCalls& calls) {
  const size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + (slash == 0));
  auto opened = File::Open(std::move(folder), O_RDONLY | O_DIRECTORY, 0, calls);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  return opened->Sync();
}

}  // namespace

RegionLog::RegionLog(File file, const RegionLogLabel& label, uint64_t grain, uint64_t bytes,
                     uint64_t changes)
    : file_(std::move(file)),
      grain_(grain),
      header_checksum_(region::LogHeaderChecksum(region::LogHeader(label))),
      file_bytes_(bytes),
      changes_(changes),
      synced_changes_(changes) {}

Expected<RegionLog> RegionLog::Create(const std::string& path, const RegionLogLabel& label,
                                      uint64_t grain, FileCalls& calls) {
  auto file = File::Open(path, O_RDWR | O_CREAT | O_TRUNC, 0644, calls);
  if (!file) return tl::unexpected(std::move(file.error()));
  const auto header = region::LogHeader(label);
  if (auto done = file->WriteAt(0, header); !done) return tl::unexpected(std::move(done.error()));
  if (auto done = file->Sync(); !done) return tl::unexpected(std::move(done.error()));
  if (auto done = SyncFolderOf(path, calls); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  return RegionLog(std::move(*file), label, grain, header.size(), 0);
}

Expected<RegionLog> RegionLog::Continue(const std::string& path, const RegionLogLabel& label,
                                        uint64_t grain, uint64_t bytes, uint64_t changes,
                                        FileCalls& calls) {
  auto file = File::Open(path, O_RDWR, 0, calls);
  if (!file) return tl::unexpected(std::move(file.error()));
  const auto size = file->Size();
  if (!size) return tl::unexpected(size.error());
  if (*size != bytes) {
    if (auto done = file->Truncate(bytes); !done) return tl::unexpected(std::move(done.error()));
  }
  // Also without a tail: what a process has read that came up after a kill may be in the kernel's
  // memory only.
  if (auto done = file->Sync(); !done) return tl::unexpected(std::move(done.error()));
  if (auto done = SyncFolderOf(path, calls); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  return RegionLog(std::move(*file), label, grain, bytes, changes);
}

void RegionLog::MakeRoom() {
  const size_t needed = buffer_.size() + region::kGroupHeaderBytes + kChangeBytesMax;
  if (needed > buffer_.capacity()) buffer_.reserve(2 * needed);
}

void RegionLog::Append(const RegionChange& change) {
  using Kind = RegionChange::Kind;
  if (has_given_up_) {
    ++changes_;
    return;
  }
  MakeRoom();
  if (group_changes_ == 0) {
    group_at_ = buffer_.size();
    buffer_.resize(group_at_ + region::kGroupHeaderBytes);
  }
  const auto grains = [this](uint64_t bytes) {
    return bytes / grain_ + (bytes % grain_ != 0 ? 1U : 0U);
  };
  std::array<std::byte, kChangeBytesMax> bytes;
  std::byte* at = bytes.data();
  *at++ = static_cast<std::byte>(change.kind);
  if (region::HasRange(change.kind)) {
    at = PutVarint(at, grains(change.range.offset));
    at = PutVarint(at, grains(change.range.size));
  }
  if (region::HasNumber(change.kind)) {
    const bool is_epoch = change.kind == Kind::kFreeDeferred || change.kind == Kind::kReleaseUpTo;
    at = PutVarint(at, is_epoch ? change.number : grains(change.number));
  }
  buffer_.insert(buffer_.end(), bytes.data(), at);
  ++group_changes_;
  ++changes_;
}

void RegionLog::EndGroup() noexcept {
  if (group_changes_ == 0) return;
  std::byte* const header = buffer_.data() + group_at_;
  const size_t bytes = buffer_.size() - group_at_ - region::kGroupHeaderBytes;
  PutFixed(header, region::kGroupMagic);
  PutFixed(header + region::kGroupBytesAt, static_cast<uint64_t>(bytes));
  PutFixed(header + region::kGroupSequenceAt, changes_ - group_changes_);
  PutFixed(header + region::kGroupSyncedAt, synced_changes_);
  PutFixed(header + region::kGroupChecksumAt,
           region::GroupChecksum(std::span(buffer_).subspan(group_at_), header_checksum_));
  group_changes_ = 0;
}

void RegionLog::GiveUp() noexcept {
  has_given_up_ = true;
  std::vector<std::byte>().swap(buffer_);
  group_changes_ = 0;
}

Expected<void> RegionLog::Sync() {
  if (has_given_up_) {
    return tl::unexpected(Error{.code = ErrorCode::kIo,
                                .message = file_.path() +
                                           ": a sync of it failed before: what is on the disk is "
                                           "not known",
                                .where = "RegionLog::Sync"});
  }
  EndGroup();
  if (buffer_.empty()) return {};
  if (auto written = file_.WriteAt(file_bytes_, buffer_); !written) return written;
  if (auto synced = file_.Sync(); !synced) {
    GiveUp();
    return synced;
  }
  file_bytes_ += buffer_.size();
  buffer_.clear();
  synced_changes_ = changes_;
  return {};
}

}  // namespace granary
