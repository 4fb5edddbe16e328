#include "pool/buffer/testing/fault_page_store.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace granary {

namespace {

// What is in the caller's memory after a read that failed: nothing that anybody wrote.
constexpr auto kJunk = std::byte{0xD5};

size_t Index(PageFault fault) noexcept { return static_cast<size_t>(fault); }

Error IoError(std::string_view name, const std::string& what, const char* where) {
  return {.code = ErrorCode::kIo,
          .message = std::string(name) + ": " + what,
          .where = where,
          .system_errno = EIO};
}

}  // namespace

const char* PageFaultName(PageFault fault) noexcept {
  constexpr const char* kNames[kPageFaults] = {"read error",
                                               "short read",
                                               "bit flip in a read",
                                               "misdirected read",
                                               "write error",
                                               "short write",
                                               "torn write",
                                               "misdirected write",
                                               "lost write",
                                               "delayed write",
                                               "sync error",
                                               "torn by a power cut",
                                               "dropped by a power cut"};
  return kNames[Index(fault)];
}

FaultPageStore::FaultPageStore(std::unique_ptr<PageStore> inner, const Options& options)
    : PageStore(inner->page_bytes()),
      owned_(std::move(inner)),
      inner_(*owned_),
      keeps_unsynced_(options.keeps_unsynced),
      random_(options.seed),
      durable_count_(inner_.PageCount()) {}

FaultPageStore::FaultPageStore(PageStore& inner, const Options& options)
    : PageStore(inner.page_bytes()),
      inner_(inner),
      keeps_unsynced_(options.keeps_unsynced),
      random_(options.seed),
      durable_count_(inner_.PageCount()) {}

// --- What shall go wrong ------------------------------------------------------------------------

void FaultPageStore::InjectNth(PageFault fault, uint64_t nth) {
  const std::lock_guard lock(mutex_);
  const uint64_t so_far = fault <= PageFault::kMisdirectedRead ? reads_
                          : fault <= PageFault::kDelayedWrite  ? writes_
                                                               : syncs_;
  planned_[Index(fault)].insert(so_far + nth);
}

void FaultPageStore::InjectRandomly(PageFault fault, double probability) {
  const std::lock_guard lock(mutex_);
  odds_[Index(fault)] = probability;
}

void FaultPageStore::InjectNothing() {
  const std::lock_guard lock(mutex_);
  planned_ = {};
  odds_ = {};
}

void FaultPageStore::DelayFor(uint64_t calls) {
  const std::lock_guard lock(mutex_);
  delay_calls_ = calls;
}

std::optional<PageFault> FaultPageStore::Choose(PageFault first, PageFault last, uint64_t number) {
  std::optional<PageFault> chosen;
  for (size_t i = Index(first); i <= Index(last); ++i) {
    bool happens = planned_[i].erase(number) != 0;
    // Asked also where another is chosen already: what comes later meets the same whatever is
    // planned.
    if (odds_[i] > 0) {
      happens |= static_cast<double>(random_() >> 11) * 0x1p-53 < odds_[i];
    }
    if (happens && !chosen) chosen = static_cast<PageFault>(i);
  }
  return chosen;
}

// --- What happened ------------------------------------------------------------------------------

void FaultPageStore::Log(PageFault fault, uint64_t page, uint64_t other_page) {
  ++injected_[Index(fault)];
  log_.push_back({.fault = fault, .page = page, .other_page = other_page});
}

uint64_t FaultPageStore::injected(PageFault fault) const {
  const std::lock_guard lock(mutex_);
  return injected_[Index(fault)];
}

std::vector<InjectedFault> FaultPageStore::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

std::map<uint64_t, PageFault> FaultPageStore::damaged() const {
  const std::lock_guard lock(mutex_);
  return damaged_;
}

uint64_t FaultPageStore::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_count_;
}

size_t FaultPageStore::unsynced_changes() const {
  const std::lock_guard lock(mutex_);
  return changes_.size() + delayed_.size();
}

bool FaultPageStore::is_down() const {
  const std::lock_guard lock(mutex_);
  return is_down_;
}

// --- Bytes --------------------------------------------------------------------------------------

void FaultPageStore::AlignedFree::operator()(std::byte* bytes) const noexcept { std::free(bytes); }

FaultPageStore::Bytes FaultPageStore::Make() const {
  // A page is a multiple of whatever alignment it is read with: a power of two, and no larger.
  const size_t alignment = std::max(inner_.Limits().memory_alignment, alignof(std::max_align_t));
  const size_t bytes = (page_bytes() + alignment - 1) / alignment * alignment;
  void* const made = std::aligned_alloc(alignment, bytes);
  if (made == nullptr) throw std::bad_alloc();
  return Bytes(static_cast<std::byte*>(made));
}

FaultPageStore::Bytes FaultPageStore::CopyOf(const std::byte* bytes) const {
  Bytes copy = Make();
  std::memcpy(copy.get(), bytes, page_bytes());
  return copy;
}

bool FaultPageStore::IsSame(const std::byte* a, const std::byte* b) const noexcept {
  return std::memcmp(a, b, page_bytes()) == 0;
}

std::optional<uint64_t> FaultPageStore::AnotherPage(uint64_t page) {
  const uint64_t count = inner_.PageCount();
  const uint64_t others = page < count ? count - 1 : count;
  if (others == 0) return std::nullopt;
  const uint64_t other = Below(others);
  return other < page ? other : other + 1;
}

FaultPageStore::Bytes FaultPageStore::Tear(const std::byte* old, const std::byte* bytes,
                                           bool in_order) {
  std::vector<size_t> differing;
  for (size_t at = 0; at < page_bytes(); at += kSectorBytes) {
    if (std::memcmp(old + at, bytes + at, kSectorBytes) != 0) differing.push_back(at);
  }
  if (differing.size() < 2) return nullptr;
  if (!in_order) std::shuffle(differing.begin(), differing.end(), random_);
  differing.resize(1 + Below(differing.size() - 1));
  Bytes torn = CopyOf(old);
  for (const size_t at : differing) std::memcpy(torn.get() + at, bytes + at, kSectorBytes);
  return torn;
}

int FaultPageStore::Load(uint64_t page, std::byte* bytes) {
  PageRead read{.page = page, .bytes = bytes};
  inner_.Read({&read, 1});
  if (read.error_number != ENODATA) return read.error_number;
  std::memset(bytes, 0, page_bytes());
  return 0;
}

int FaultPageStore::KeepBefore(uint64_t page) {
  if (!keeps_unsynced_ || before_.contains(page)) return 0;
  Content before{.bytes = Make(), .damage = std::nullopt};
  if (const int error_number = Load(page, before.bytes.get()); error_number != 0) {
    return error_number;
  }
  if (const auto at = damaged_.find(page); at != damaged_.end()) before.damage = at->second;
  before_.emplace(page, std::move(before));
  return 0;
}

int FaultPageStore::Store(uint64_t page, const std::byte* bytes, std::optional<PageFault> damage) {
  if (const int error_number = KeepBefore(page); error_number != 0) return error_number;
  const Bytes copy = CopyOf(bytes);
  PageWrite write{.page = page, .bytes = copy.get()};
  inner_.Write({&write, 1});
  if (write.error_number != 0) return write.error_number;
  delayed_.erase(page);
  if (damage) {
    damaged_.insert_or_assign(page, *damage);
  } else {
    damaged_.erase(page);
  }
  if (keeps_unsynced_) {
    changes_.push_back({.kind = Change::Kind::kWrite,
                        .number = page,
                        .content = {.bytes = CopyOf(bytes), .damage = damage}});
  }
  return 0;
}

int FaultPageStore::MakeStale(uint64_t page, PageFault fault) {
  if (page >= inner_.PageCount()) {
    const auto extended = ExtendInner(page + 1);
    if (!extended) return extended.error().system_errno != 0 ? extended.error().system_errno : EIO;
  }
  if (const int failed = KeepBefore(page); failed != 0) return failed;
  // A page that is torn, say, stays that.
  damaged_.emplace(page, fault);
  return 0;
}

// --- Calls --------------------------------------------------------------------------------------

void FaultPageStore::BeginCall() {
  ++calls_;
  if (delay_calls_ == 0) return;
  for (auto at = delayed_.begin(); at != delayed_.end();) {
    const uint64_t page = at->first;
    const bool is_due = at->second.due_call <= calls_;
    Bytes bytes = is_due ? std::move(at->second.bytes) : nullptr;
    ++at;
    if (is_due) (void)DoDelayed(page, std::move(bytes));
  }
}

int FaultPageStore::DoDelayed(uint64_t page, Bytes bytes) {
  delayed_.erase(page);
  return Store(page, bytes.get(), std::nullopt);
}

bool FaultPageStore::PowerGoes() {
  ++changes_count_;
  return cut_at_ != 0 && changes_count_ == cut_at_;
}

tl::unexpected<Error> FaultPageStore::Down(const char* where) const {
  return tl::unexpected(IoError(name(), "the power is cut", where));
}

void FaultPageStore::Read(std::span<PageRead> pages) noexcept {
  const std::lock_guard lock(mutex_);
  if (is_down_) {
    for (PageRead& read : pages) read.error_number = EIO;
    return;
  }
  BeginCall();
  inner_.Read(pages);
  for (PageRead& read : pages) ReadOne(read);
}

void FaultPageStore::ReadOne(PageRead& read) {
  const auto fault = Choose(PageFault::kReadError, PageFault::kMisdirectedRead, ++reads_);
  if (!fault || read.error_number != 0) return;
  uint64_t other_page = 0;
  switch (*fault) {
    case PageFault::kReadError:
      read.error_number = EIO;
      std::memset(read.bytes, std::to_integer<int>(kJunk), page_bytes());
      break;
    case PageFault::kShortRead: {
      const size_t kept = Below(page_bytes());
      read.error_number = EIO;
      std::memset(read.bytes + kept, std::to_integer<int>(kJunk), page_bytes() - kept);
      break;
    }
    case PageFault::kReadBitFlip: {
      const size_t bit = Below(page_bytes() * 8);
      read.bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      break;
    }
    default: {
      const auto other = AnotherPage(read.page);
      if (!other) return;
      const Bytes bytes = Make();
      other_page = *other;
      if (Load(other_page, bytes.get()) != 0 || IsSame(bytes.get(), read.bytes)) return;
      std::memcpy(read.bytes, bytes.get(), page_bytes());
      break;
    }
  }
  Log(*fault, read.page, other_page);
}

void FaultPageStore::Write(std::span<PageWrite> pages) noexcept {
  const std::lock_guard lock(mutex_);
  if (!is_down_) BeginCall();
  for (PageWrite& write : pages) WriteOne(write);
}

void FaultPageStore::WriteOne(PageWrite& write) {
  write.error_number = EIO;
  if (is_down_) return;
  const auto fault = Choose(PageFault::kWriteError, PageFault::kDelayedWrite, ++writes_);
  if (PowerGoes()) {
    (void)Store(write.page, write.bytes, std::nullopt);
    return Cut();
  }
  if (!fault) {
    write.error_number = Store(write.page, write.bytes, std::nullopt);
    return;
  }
  const Bytes old = Make();
  write.error_number = Load(write.page, old.get());
  if (write.error_number != 0) return;
  if (*fault != PageFault::kWriteError && IsSame(old.get(), write.bytes)) {
    write.error_number = Store(write.page, write.bytes, std::nullopt);
  } else {
    write.error_number = WriteFaulty(write, *fault, old);
  }
}

int FaultPageStore::WriteFaulty(const PageWrite& write, PageFault fault, const Bytes& old) {
  const uint64_t page = write.page;
  uint64_t other_page = 0;
  int result = 0;
  switch (fault) {
    case PageFault::kWriteError:
      result = EIO;
      break;
    case PageFault::kShortWrite:
    case PageFault::kTornWrite: {
      const bool is_short = fault == PageFault::kShortWrite;
      const Bytes torn = Tear(old.get(), write.bytes, /*in_order=*/is_short);
      if (torn == nullptr) return Store(page, write.bytes, std::nullopt);
      if (const int failed = Store(page, torn.get(), fault); failed != 0) return failed;
      result = is_short ? EIO : 0;
      break;
    }
    case PageFault::kMisdirectedWrite: {
      const auto other = AnotherPage(page);
      if (!other) return Store(page, write.bytes, std::nullopt);
      other_page = *other;
      if (const int failed = MakeStale(page, fault); failed != 0) return failed;
      if (const int failed = Store(other_page, write.bytes, fault); failed != 0) return failed;
      break;
    }
    case PageFault::kLostWrite:
      if (const int failed = MakeStale(page, fault); failed != 0) return failed;
      break;
    default:
      if (const int failed = MakeStale(page, fault); failed != 0) return failed;
      delayed_.insert_or_assign(
          page, Delayed{.due_call = calls_ + delay_calls_, .bytes = CopyOf(write.bytes)});
      break;
  }
  Log(fault, page, other_page);
  return result;
}

Expected<void> FaultPageStore::Sync() {
  constexpr const char* kWhere = "FaultPageStore::Sync";
  const std::lock_guard lock(mutex_);
  if (is_down_) return Down(kWhere);
  BeginCall();
  const auto fault = Choose(PageFault::kSyncError, PageFault::kSyncError, ++syncs_);
  if (PowerGoes()) {
    Cut();
    return Down(kWhere);
  }
  if (sync_error_) return tl::unexpected(*sync_error_);
  if (fault) {
    Log(*fault, 0);
    sync_error_ =
        IoError(name(), "an earlier sync failed, so that nobody knows what is durable", kWhere);
    return tl::unexpected(IoError(name(), "cannot be synced", kWhere));
  }
  while (!delayed_.empty()) {
    const uint64_t page = delayed_.begin()->first;
    const int error_number = DoDelayed(page, std::move(delayed_.begin()->second.bytes));
    if (error_number != 0) {
      sync_error_ = IoError(name(), "page " + std::to_string(page) + " cannot be written", kWhere);
      return tl::unexpected(*sync_error_);
    }
  }
  if (auto synced = inner_.Sync(); !synced) return synced;
  before_.clear();
  changes_.clear();
  durable_count_ = inner_.PageCount();
  return {};
}

Expected<void> FaultPageStore::ExtendInner(uint64_t pages) {
  if (pages <= inner_.PageCount()) return {};
  if (auto extended = inner_.Extend(pages); !extended) return extended;
  if (keeps_unsynced_) {
    changes_.push_back({.kind = Change::Kind::kExtend, .number = pages, .content = {}});
  }
  return {};
}

Expected<void> FaultPageStore::Extend(uint64_t pages) {
  constexpr const char* kWhere = "FaultPageStore::Extend";
  const std::lock_guard lock(mutex_);
  if (is_down_) return Down(kWhere);
  BeginCall();
  const bool is_last = PowerGoes();
  auto extended = ExtendInner(pages);
  if (!is_last) return extended;
  Cut();
  return Down(kWhere);
}

Expected<void> FaultPageStore::Truncate(uint64_t pages) {
  constexpr const char* kWhere = "FaultPageStore::Truncate";
  const std::lock_guard lock(mutex_);
  if (is_down_) return Down(kWhere);
  BeginCall();
  const bool is_last = PowerGoes();
  const uint64_t count = inner_.PageCount();
  for (uint64_t page = pages; page < count; ++page) {
    if (const int error_number = KeepBefore(page); error_number != 0) {
      return tl::unexpected(
          IoError(name(), "page " + std::to_string(page) + " cannot be kept", kWhere));
    }
  }
  auto cut_off = inner_.Truncate(pages);
  if (cut_off && pages < count) {
    delayed_.erase(delayed_.lower_bound(pages), delayed_.end());
    damaged_.erase(damaged_.lower_bound(pages), damaged_.end());
    if (keeps_unsynced_) {
      changes_.push_back({.kind = Change::Kind::kTruncate, .number = pages, .content = {}});
    }
  }
  if (!is_last) return cut_off;
  Cut();
  return Down(kWhere);
}

std::string FaultPageStore::RegisterMemory(std::span<std::byte> memory) {
  return inner_.RegisterMemory(memory);
}

// --- Power --------------------------------------------------------------------------------------

void FaultPageStore::CutPower() {
  const std::lock_guard lock(mutex_);
  if (!is_down_) Cut();
}

void FaultPageStore::CutPowerAt(uint64_t nth) {
  const std::lock_guard lock(mutex_);
  cut_at_ = nth == 0 ? 0 : changes_count_ + nth;
}

Expected<void> FaultPageStore::Reboot() {
  const std::lock_guard lock(mutex_);
  is_down_ = false;
  cut_at_ = 0;
  sync_error_.reset();
  return std::exchange(cut_result_, {});
}

void FaultPageStore::Cut() {
  is_down_ = true;
  if (keeps_unsynced_) cut_result_ = LeaveWhatSurvives();
  delayed_.clear();
  before_.clear();
  changes_.clear();
  durable_count_ = inner_.PageCount();
}

Expected<void> FaultPageStore::LeaveWhatSurvives() {
  // A delayed write is one more that is not durable.
  for (auto& [page, delayed] : delayed_) {
    changes_.push_back({.kind = Change::Kind::kWrite,
                        .number = page,
                        .content = {.bytes = std::move(delayed.bytes), .damage = std::nullopt}});
    if (const int error_number = KeepBefore(page); error_number != 0) {
      return tl::unexpected(IoError(name(), "page " + std::to_string(page) + " cannot be kept",
                                    "FaultPageStore::CutPower"));
    }
  }
  // From the last Sync on once more, with some of the changes.
  uint64_t count = durable_count_;
  for (Change& change : changes_) {
    enum : size_t { kDropped, kWhole, kTorn, kFates };
    const size_t fate = Below(change.kind == Change::Kind::kWrite ? kFates : kTorn);
    if (fate == kDropped) {
      if (change.kind == Change::Kind::kWrite) Log(PageFault::kPowerCutDropped, change.number);
      continue;
    }
    if (change.kind == Change::Kind::kExtend) {
      count = std::max(count, change.number);
    } else if (change.kind == Change::Kind::kTruncate) {
      if (change.number >= count) continue;
      count = change.number;
      for (auto at = before_.lower_bound(count); at != before_.end(); ++at) {
        std::memset(at->second.bytes.get(), 0, page_bytes());
        at->second.damage.reset();
      }
    } else {
      count = std::max(count, change.number + 1);
      Content& content = before_.find(change.number)->second;
      Bytes torn =
          fate == kTorn ? Tear(content.bytes.get(), change.content.bytes.get(), false) : nullptr;
      if (torn != nullptr) {
        content = {.bytes = std::move(torn), .damage = PageFault::kPowerCutTorn};
        Log(PageFault::kPowerCutTorn, change.number);
      } else {
        content = std::move(change.content);
      }
    }
  }
  if (auto done = inner_.Truncate(count); !done) return done;
  if (auto done = inner_.Extend(count); !done) return done;
  damaged_.erase(damaged_.lower_bound(count), damaged_.end());
  for (const auto& [page, content] : before_) {
    if (page >= count) break;
    PageWrite write{.page = page, .bytes = content.bytes.get()};
    inner_.Write({&write, 1});
    if (write.error_number != 0) {
      return tl::unexpected(IoError(name(), "page " + std::to_string(page) + " cannot be written",
                                    "FaultPageStore::CutPower"));
    }
    damaged_.erase(page);
    if (content.damage) damaged_.emplace(page, *content.damage);
  }
  return inner_.Sync();
}

}  // namespace granary
