#include "memory/testing/simulated_files.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace granary {

namespace {

std::string Normal(const char* path) {
  std::string normal = path;
  while (normal.starts_with("./")) normal.erase(0, 2);
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal.empty() ? "." : normal;
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return path.substr(0, slash == 0 ? 1 : slash);
}

SimulatedFiles::Choose From(std::mt19937_64& random) {
  return [&random](size_t limit) { return static_cast<size_t>(random() % limit); };
}

}  // namespace

SimulatedFiles::SimulatedFiles() = default;
SimulatedFiles::~SimulatedFiles() = default;

// --- What shall go wrong ------------------------------------------------------------------------

void SimulatedFiles::FailCall(size_t nth, int system_errno) {
  const std::lock_guard lock(mutex_);
  fail_in_ = nth;
  fail_errno_ = system_errno;
}

void SimulatedFiles::FailCall(Call kind, size_t nth, int system_errno) {
  const std::lock_guard lock(mutex_);
  fail_kind_ = kind;
  fail_kind_in_ = nth;
  fail_kind_errno_ = system_errno;
}

void SimulatedFiles::LimitTransfers(size_t bytes) {
  const std::lock_guard lock(mutex_);
  transfer_bytes_max_ = bytes;
}

void SimulatedFiles::AllowDirect(DirectAlignment alignment, bool is_told) {
  const std::lock_guard lock(mutex_);
  direct_ = alignment;
  tells_direct_ = is_told;
}

void SimulatedFiles::ForbidAllocation() {
  const std::lock_guard lock(mutex_);
  allocates_ = false;
}

void SimulatedFiles::CutPower(size_t nth) {
  const std::lock_guard lock(mutex_);
  end_in_ = nth;
  end_ = End::kPowerCut;
}

void SimulatedFiles::Kill(size_t nth) {
  const std::lock_guard lock(mutex_);
  end_in_ = nth;
  end_ = End::kKill;
}

bool SimulatedFiles::is_down() const {
  const std::lock_guard lock(mutex_);
  return is_down_;
}

SimulatedFiles::Outcome SimulatedFiles::Begin(Call kind) {
  ++count_;
  ++counts_[static_cast<size_t>(kind)];
  if (is_down_) {
    errno = EIO;
    return Outcome::kFails;
  }
  const bool fails = fail_in_ != 0 && --fail_in_ == 0;
  const bool kind_fails = fail_kind_in_ != 0 && kind == fail_kind_ && --fail_kind_in_ == 0;
  if (end_in_ != 0 && --end_in_ == 0) {
    is_down_ = true;
    return Outcome::kLastOne;
  }
  if (!fails && !kind_fails) return Outcome::kGoesOn;
  errno = fails ? fail_errno_ : fail_kind_errno_;
  return Outcome::kFails;
}

int SimulatedFiles::Fail(int system_errno) {
  errno = system_errno;
  return -1;
}

// --- After the end ------------------------------------------------------------------------------

void SimulatedFiles::Reboot(std::mt19937_64& random) { Reboot(From(random)); }

void SimulatedFiles::Restart(std::mt19937_64& random) { Restart(From(random)); }

void SimulatedFiles::Reboot(const Choose& choose) {
  const std::lock_guard lock(mutex_);
  names_.clear();
  for (auto& [path, folder] : folders_) {
    const size_t kept = choose(folder.changes.size() + 1);
    for (size_t i = 0; i < kept; ++i) Apply(folder.changes[i], folder.durable);
    folder.changes.clear();
    names_.insert(folder.durable.begin(), folder.durable.end());
  }
  for (auto& [path, node] : names_) {
    for (const Change& change : node->changes) ApplyPart(change, choose, node->durable);
    node->changes.clear();
    node->now = node->durable;
  }
  ComeUp();
}

void SimulatedFiles::Restart(const Choose& choose) {
  const std::lock_guard lock(mutex_);
  if (broken_off_node_ != nullptr) {
    broken_off_.bytes.resize(choose(broken_off_.bytes.size() + 1));
    if (!broken_off_.bytes.empty()) {
      Apply(broken_off_, broken_off_node_->now);
      broken_off_node_->changes.push_back(std::move(broken_off_));
    }
  }
  ComeUp();
}

void SimulatedFiles::ComeUp() {
  opened_.clear();
  leases_.clear();
  broken_off_node_.reset();
  broken_off_ = {};
  end_ = End::kNone;
  end_in_ = 0;
  fail_in_ = 0;
  fail_kind_in_ = 0;
  is_down_ = false;
}

void SimulatedFiles::Apply(const Change& change, Bytes& contents) {
  if (change.is_truncation) {
    contents.resize(change.offset_or_size);
    return;
  }
  const size_t end = change.offset_or_size + change.bytes.size();
  if (contents.size() < end) contents.resize(end);
  std::copy(change.bytes.begin(), change.bytes.end(),
            contents.begin() + static_cast<std::ptrdiff_t>(change.offset_or_size));
}

void SimulatedFiles::Apply(const NameChange& change, Names& names) {
  if (change.made != nullptr) {
    names[change.to] = change.made;
    return;
  }
  const auto from = names.find(change.from);
  if (from == names.end()) return;
  if (!change.to.empty()) names[change.to] = from->second;
  names.erase(change.from);
}

void SimulatedFiles::ApplyPart(const Change& change, const Choose& choose, Bytes& contents) {
  enum : size_t { kNone, kWhole, kPrefix, kSectors, kSizeOnly, kCount };
  const size_t part = choose(change.is_truncation || change.bytes.empty() ? kPrefix : kCount);
  if (part == kNone) return;
  if (part == kWhole) return Apply(change, contents);
  const size_t begin = change.offset_or_size;
  const size_t end = begin + change.bytes.size();
  if (part == kSizeOnly) {
    contents.resize(std::max(contents.size(), end));
    return;
  }
  const size_t sectors = (end + kSectorBytes - 1) / kSectorBytes - begin / kSectorBytes;
  const size_t kept = part == kPrefix ? choose(sectors + 1) : 0;
  for (size_t i = 0; i < sectors; ++i) {
    if (part == kPrefix ? i >= kept : choose(2) == 0) continue;
    const size_t first = begin / kSectorBytes + i;
    const size_t from = std::max(begin, first * kSectorBytes);
    const size_t to = std::min(end, (first + 1) * kSectorBytes);
    if (contents.size() < to) contents.resize(to);
    std::memcpy(contents.data() + from, change.bytes.data() + (from - begin), to - from);
  }
}

// --- What happened ------------------------------------------------------------------------------

size_t SimulatedFiles::calls() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

size_t SimulatedFiles::calls(Call kind) const {
  const std::lock_guard lock(mutex_);
  return counts_[static_cast<size_t>(kind)];
}

void SimulatedFiles::ForgetCalls() {
  const std::lock_guard lock(mutex_);
  count_ = 0;
  counts_ = {};
}

size_t SimulatedFiles::open_files() const {
  const std::lock_guard lock(mutex_);
  return opened_.size();
}

size_t SimulatedFiles::unsynced_writes(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto at = names_.find(Normal(path.c_str()));
  return at == names_.end() ? 0 : at->second->changes.size();
}

std::optional<std::vector<std::byte>> SimulatedFiles::Contents(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto at = names_.find(Normal(path.c_str()));
  if (at == names_.end()) return std::nullopt;
  return at->second->now;
}

void SimulatedFiles::Put(const std::string& path, std::span<const std::byte> contents) {
  const std::lock_guard lock(mutex_);
  const std::string normal = Normal(path.c_str());
  auto node = std::make_shared<Node>();
  node->now.assign(contents.begin(), contents.end());
  node->durable = node->now;
  names_[normal] = node;
  Folder& folder = folders_[FolderOf(normal)];
  for (const NameChange& change : folder.changes) Apply(change, folder.durable);
  folder.changes.clear();
  folder.durable[normal] = std::move(node);
}

std::vector<std::string> SimulatedFiles::Paths() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> paths;
  for (const auto& [path, node] : names_) paths.push_back(path);
  return paths;
}

// --- FileCalls ----------------------------------------------------------------------------------

SimulatedFiles::Opened* SimulatedFiles::Find(int file) {
  const auto at = opened_.find(file);
  return at == opened_.end() ? nullptr : &at->second;
}

// A change that a kill comes in is done in part, and which Restart() chooses; one that the power
// goes in is one more that no Sync has made durable.
void SimulatedFiles::ChangeContents(const NodePtr& node, Change change, bool is_last) {
  if (is_last && end_ == End::kKill) {
    if (change.is_truncation) return;
    broken_off_node_ = node;
    broken_off_ = std::move(change);
    return;
  }
  Apply(change, node->now);
  node->changes.push_back(std::move(change));
}

void SimulatedFiles::ChangeName(NameChange change, bool is_last) {
  if (is_last && end_ == End::kKill) return;
  Apply(change, names_);
  folders_[FolderOf(change.to.empty() ? change.from : change.to)].changes.push_back(
      std::move(change));
}

int SimulatedFiles::Open(const char* path, int flags, mode_t /*mode*/) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kOpen);
  if (outcome == Outcome::kFails) return -1;
  const bool is_last = outcome == Outcome::kLastOne;
  const std::string normal = Normal(path);
  const int access = flags & O_ACCMODE;
  Opened opened;
  opened.reads = access != O_WRONLY;
  opened.writes = access != O_RDONLY;
  const auto at = names_.find(normal);
  opened.is_direct = (flags & O_DIRECT) != 0;
  if ((flags & O_APPEND) != 0) return Fail(EINVAL);
  if (opened.is_direct && direct_.memory_bytes == 0) return Fail(EINVAL);
  if ((flags & O_DIRECTORY) != 0) {
    if (at != names_.end()) return Fail(ENOTDIR);
    opened.folder = normal;
  } else if (at == names_.end()) {
    if ((flags & O_CREAT) == 0) return Fail(ENOENT);
    opened.node = std::make_shared<Node>();
    ChangeName({.from = {}, .to = normal, .made = opened.node}, is_last);
  } else {
    if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return Fail(EEXIST);
    opened.node = at->second;
    if ((flags & O_TRUNC) != 0 && opened.writes) {
      ChangeContents(opened.node, {.is_truncation = true, .offset_or_size = 0, .bytes = {}},
                     is_last);
    }
  }
  if (is_last) return Fail(EIO);
  opened_.emplace(next_file_, std::move(opened));
  return next_file_++;
}

int SimulatedFiles::Close(int file) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kClose);
  const Opened* const opened = Find(file);
  if (opened == nullptr) return Fail(EBADF);
  std::erase_if(leases_, [&](const auto& lease) { return lease.second.holder == file; });
  // As Linux has it: also after an error.
  opened_.erase(file);
  if (outcome == Outcome::kLastOne) errno = EIO;
  return outcome == Outcome::kGoesOn ? 0 : -1;
}

ssize_t SimulatedFiles::ReadAt(int file, void* bytes, size_t count, off_t offset) noexcept {
  const iovec piece = {bytes, count};
  return Read(Call::kReadAt, file, {&piece, 1}, offset);
}

ssize_t SimulatedFiles::ReadVectorAt(int file, const iovec* pieces, int count,
                                     off_t offset) noexcept {
  return Read(Call::kReadVectorAt, file, {pieces, static_cast<size_t>(count)}, offset);
}

ssize_t SimulatedFiles::WriteAt(int file, const void* bytes, size_t count, off_t offset) noexcept {
  const iovec piece = {const_cast<void*>(bytes), count};
  return Write(Call::kWriteAt, file, {&piece, 1}, offset);
}

ssize_t SimulatedFiles::WriteVectorAt(int file, const iovec* pieces, int count,
                                      off_t offset) noexcept {
  return Write(Call::kWriteVectorAt, file, {pieces, static_cast<size_t>(count)}, offset);
}

bool SimulatedFiles::IsAligned(std::span<const iovec> pieces, off_t offset) const {
  if (static_cast<size_t>(offset) % direct_.offset_bytes != 0) return false;
  return std::all_of(pieces.begin(), pieces.end(), [&](const iovec& piece) {
    return reinterpret_cast<uintptr_t>(piece.iov_base) % direct_.memory_bytes == 0 &&
           piece.iov_len % direct_.offset_bytes == 0;
  });
}

ssize_t SimulatedFiles::Read(Call kind, int file, std::span<const iovec> pieces, off_t offset) {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(kind);
  if (outcome == Outcome::kFails) return -1;
  if (outcome == Outcome::kLastOne) return Fail(EIO);
  const Opened* const opened = Find(file);
  if (opened == nullptr || !opened->reads) return Fail(EBADF);
  if (opened->node == nullptr) return Fail(EISDIR);
  if (offset < 0 || pieces.size() > IOV_MAX) return Fail(EINVAL);
  if (opened->is_direct && !IsAligned(pieces, offset)) return Fail(EINVAL);
  const Bytes& contents = opened->node->now;
  const auto from = static_cast<size_t>(offset);
  size_t left = from < contents.size() ? contents.size() - from : 0;
  if (transfer_bytes_max_ != 0) left = std::min(left, transfer_bytes_max_);
  size_t done = 0;
  for (const iovec& piece : pieces) {
    const size_t length = std::min(piece.iov_len, left - done);
    if (length == 0) continue;
    std::memcpy(piece.iov_base, contents.data() + from + done, length);
    done += length;
  }
  return static_cast<ssize_t>(done);
}

ssize_t SimulatedFiles::Write(Call kind, int file, std::span<const iovec> pieces, off_t offset) {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(kind);
  if (outcome == Outcome::kFails) return -1;
  const Opened* const opened = Find(file);
  if (opened == nullptr || !opened->writes) return Fail(EBADF);
  if (opened->node == nullptr) return Fail(EISDIR);
  if (offset < 0 || pieces.size() > IOV_MAX) return Fail(EINVAL);
  if (opened->is_direct && !IsAligned(pieces, offset)) return Fail(EINVAL);
  Bytes bytes;
  for (const iovec& piece : pieces) {
    const auto* const first = static_cast<const std::byte*>(piece.iov_base);
    bytes.insert(bytes.end(), first, first + piece.iov_len);
  }
  if (transfer_bytes_max_ != 0 && bytes.size() > transfer_bytes_max_) {
    bytes.resize(transfer_bytes_max_);
  }
  if (bytes.empty()) return 0;
  const auto count = static_cast<ssize_t>(bytes.size());
  ChangeContents(opened->node,
                 {.is_truncation = false,
                  .offset_or_size = static_cast<uint64_t>(offset),
                  .bytes = std::move(bytes)},
                 outcome == Outcome::kLastOne);
  return outcome == Outcome::kLastOne ? Fail(EIO) : count;
}

int SimulatedFiles::Sync(int file) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kSync);
  if (outcome == Outcome::kFails) return -1;
  const Opened* const opened = Find(file);
  if (opened == nullptr) return Fail(EBADF);
  // Which of its writes a sync that is cut short has done, Reboot() chooses.
  if (outcome == Outcome::kLastOne) return Fail(EIO);
  if (opened->node != nullptr) {
    opened->node->durable = opened->node->now;
    opened->node->changes.clear();
    return 0;
  }
  Folder& folder = folders_[opened->folder];
  for (const NameChange& change : folder.changes) Apply(change, folder.durable);
  folder.changes.clear();
  return 0;
}

int SimulatedFiles::Truncate(int file, off_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kTruncate);
  if (outcome == Outcome::kFails) return -1;
  const Opened* const opened = Find(file);
  if (opened == nullptr || !opened->writes) return Fail(EBADF);
  if (opened->node == nullptr || bytes < 0) return Fail(EINVAL);
  ChangeContents(
      opened->node,
      {.is_truncation = true, .offset_or_size = static_cast<uint64_t>(bytes), .bytes = {}},
      outcome == Outcome::kLastOne);
  return outcome == Outcome::kLastOne ? Fail(EIO) : 0;
}

int SimulatedFiles::Allocate(int file, off_t offset, off_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kAllocate);
  if (outcome == Outcome::kFails) return -1;
  const Opened* const opened = Find(file);
  if (opened == nullptr || !opened->writes) return Fail(EBADF);
  if (opened->node == nullptr || offset < 0 || bytes <= 0) return Fail(EINVAL);
  if (!allocates_) return Fail(EOPNOTSUPP);
  const auto end = static_cast<uint64_t>(offset) + static_cast<uint64_t>(bytes);
  if (end > opened->node->now.size()) {
    ChangeContents(opened->node, {.is_truncation = false, .offset_or_size = end, .bytes = {}},
                   outcome == Outcome::kLastOne);
  }
  return outcome == Outcome::kLastOne ? Fail(EIO) : 0;
}

off_t SimulatedFiles::Size(int file) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kSize);
  if (outcome == Outcome::kFails) return -1;
  if (outcome == Outcome::kLastOne) return Fail(EIO);
  const Opened* const opened = Find(file);
  if (opened == nullptr) return Fail(EBADF);
  return opened->node != nullptr ? static_cast<off_t>(opened->node->now.size()) : 0;
}

int SimulatedFiles::Rename(const char* from, const char* to) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kRename);
  if (outcome == Outcome::kFails) return -1;
  std::string old_name = Normal(from);
  std::string new_name = Normal(to);
  if (!names_.contains(old_name)) return Fail(ENOENT);
  if (FolderOf(old_name) != FolderOf(new_name)) return Fail(EXDEV);
  if (old_name != new_name) {
    ChangeName({.from = std::move(old_name), .to = std::move(new_name), .made = nullptr},
               outcome == Outcome::kLastOne);
  }
  return outcome == Outcome::kLastOne ? Fail(EIO) : 0;
}

int SimulatedFiles::Unlink(const char* path) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kUnlink);
  if (outcome == Outcome::kFails) return -1;
  std::string normal = Normal(path);
  if (!names_.contains(normal)) return Fail(ENOENT);
  ChangeName({.from = std::move(normal), .to = {}, .made = nullptr}, outcome == Outcome::kLastOne);
  return outcome == Outcome::kLastOne ? Fail(EIO) : 0;
}

int SimulatedFiles::Lock(int file, bool is_exclusive) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kLock);
  if (outcome == Outcome::kFails) return -1;
  if (outcome == Outcome::kLastOne) return Fail(EIO);
  const Opened* const opened = Find(file);
  if (opened == nullptr) return Fail(EBADF);
  const Node* const node = opened->node.get();
  if (node == nullptr) return Fail(EINVAL);
  const auto [first, last] = leases_.equal_range(node);
  for (auto at = first; at != last; ++at) {
    const Lease& lease = at->second;
    if (lease.holder != file && (lease.is_exclusive || is_exclusive)) return Fail(EWOULDBLOCK);
  }
  std::erase_if(leases_, [&](const auto& lease) { return lease.second.holder == file; });
  leases_.emplace(node, Lease{.holder = file, .is_exclusive = is_exclusive});
  return 0;
}

int SimulatedFiles::Unlock(int file) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kUnlock);
  if (outcome == Outcome::kFails) return -1;
  if (outcome == Outcome::kLastOne) return Fail(EIO);
  if (Find(file) == nullptr) return Fail(EBADF);
  std::erase_if(leases_, [&](const auto& lease) { return lease.second.holder == file; });
  return 0;
}

void* SimulatedFiles::Map(int /*file*/, size_t /*bytes*/, int /*protection*/,
                          off_t /*offset*/) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kMap);
  if (outcome != Outcome::kFails) errno = outcome == Outcome::kLastOne ? EIO : ENODEV;
  return MAP_FAILED;
}

int SimulatedFiles::DirectAlignmentOf(int file, DirectAlignment* alignment) noexcept {
  const std::lock_guard lock(mutex_);
  const Outcome outcome = Begin(Call::kDirectAlignmentOf);
  if (outcome == Outcome::kFails) return -1;
  if (outcome == Outcome::kLastOne) return Fail(EIO);
  if (Find(file) == nullptr) return Fail(EBADF);
  if (!tells_direct_) return Fail(EOPNOTSUPP);
  *alignment = direct_;
  return 0;
}

}  // namespace granary
