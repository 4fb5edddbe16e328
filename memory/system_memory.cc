#include "memory/system_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "memory/memory_resource.h"
#include "memory/page_ranges.h"
#include "memory/system_calls.h"
#include "memory/system_limits.h"

// Headers older than the kernel lack these; the values are part of the kernel's interface.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

namespace granary {
namespace {

constexpr int kHugePageFlags = MAP_HUGETLB | MAP_HUGE_2MB;

// Passes every call on and counts it.
class CountedCalls final : public SystemCalls {
 public:
  explicit CountedCalls(SystemCalls& calls) noexcept : calls_(calls) {}

  void* Map(void* address, size_t bytes, int protection, int flags) noexcept override {
    Count(1);
    return calls_.Map(address, bytes, protection, flags);
  }
  int Unmap(void* address, size_t bytes) noexcept override {
    Count(1);
    return calls_.Unmap(address, bytes);
  }
  int Protect(void* address, size_t bytes, int protection) noexcept override {
    Count(1);
    return calls_.Protect(address, bytes, protection);
  }
  int Advise(void* address, size_t bytes, int advice) noexcept override {
    Count(1);
    return calls_.Advise(address, bytes, advice);
  }
  int Resident(void* address, size_t bytes, unsigned char* pages) noexcept override {
    Count(1);
    return calls_.Resident(address, bytes, pages);
  }
  ssize_t ReadFile(const char* path, char* buffer, size_t bytes) noexcept override {
    Count(3);  // open, read, close.
    return calls_.ReadFile(path, buffer, bytes);
  }

  uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }

 private:
  // Relaxed: a statistic, which orders nothing.
  void Count(uint64_t calls) noexcept { count_.fetch_add(calls, std::memory_order_relaxed); }

  SystemCalls& calls_;
  std::atomic<uint64_t> count_{0};
};

size_t SystemPageBytes() noexcept {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// `n` rounded up to a multiple of `unit`, or nothing where that overflows.
std::optional<size_t> RoundUp(size_t n, size_t unit) noexcept {
  if (n > SIZE_MAX - (unit - 1)) return std::nullopt;
  return AlignUp(n, unit);
}

std::optional<size_t> Sum(std::initializer_list<size_t> addends) noexcept {
  size_t sum = 0;
  for (const size_t addend : addends) {
    if (addend > SIZE_MAX - sum) return std::nullopt;
    sum += addend;
  }
  return sum;
}

ErrorCode CodeOfErrno(int system_errno) noexcept {
  return system_errno == ENOMEM || system_errno == EAGAIN ? ErrorCode::kOutOfMemory
                                                          : ErrorCode::kIo;
}

// Writes to every page without changing it. A compare-and-swap of a value for itself, because a
// page may be in use by another thread, and because compilers turn an addition of zero into a read.
void TouchPages(std::byte* first, size_t bytes, size_t page_bytes) noexcept {
  for (size_t at = 0; at < bytes; at += page_bytes) {
    const std::atomic_ref<unsigned char> byte(*reinterpret_cast<unsigned char*>(first + at));
    unsigned char seen = byte.load(std::memory_order_relaxed);
    byte.compare_exchange_strong(seen, seen, std::memory_order_relaxed);
  }
}

// "always [madvise] never": the mode in brackets is the one that holds.
TransparentHugePages ReadTransparentHugePages(SystemCalls& calls) noexcept {
  std::array<char, 128> buffer;
  const ssize_t got =
      calls.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled", buffer.data(), buffer.size());
  if (got <= 0) return TransparentHugePages::kUnknown;
  const std::string_view text(buffer.data(), static_cast<size_t>(got));
  if (text.find("[always]") != text.npos) return TransparentHugePages::kAlways;
  if (text.find("[madvise]") != text.npos) return TransparentHugePages::kMadvise;
  if (text.find("[never]") != text.npos) return TransparentHugePages::kNever;
  return TransparentHugePages::kUnknown;
}

// Why the pool of huge pages did not serve `bytes`.
Error HugePageError(SystemCalls& calls, size_t bytes, int system_errno) noexcept {
  const HugePagePool pool = ReadHugePagePool(calls);
  const bool none = pool.total_pages <= 0 || system_errno == EINVAL || system_errno == ENODEV;
  const ErrorCode code = none ? ErrorCode::kUnsupported : CodeOfErrno(system_errno);
  return MakeError(code, "SystemMemory::Reserve", system_errno, [&] {
    const std::string wanted = std::to_string(bytes / SystemMemory::kHugePageBytes);
    std::string text = "huge pages are required and could not be had: " + wanted +
                       " pages of 2 MiB for " + DescribeBytes(bytes) + "; ";
    if (pool.total_pages < 0) {
      text += "the system has no pool of that size";
    } else {
      text += "the system's pool has " + std::to_string(pool.total_pages) + ", of which " +
              std::to_string(pool.free_pages) + " are free (vm.nr_hugepages)";
    }
    return text + ": " + DescribeErrno(system_errno);
  });
}

}  // namespace

const char* HugePagesName(HugePages huge_pages) noexcept {
  switch (huge_pages) {
    case HugePages::kNever:
      return "never";
    case HugePages::kAdvise:
      return "advise";
    case HugePages::kRequire:
      return "require";
  }
  return "unknown";
}

const char* TransparentHugePagesName(TransparentHugePages mode) noexcept {
  switch (mode) {
    case TransparentHugePages::kUnknown:
      return "unknown";
    case TransparentHugePages::kAlways:
      return "always";
    case TransparentHugePages::kMadvise:
      return "madvise";
    case TransparentHugePages::kNever:
      return "never";
  }
  return "unknown";
}

struct SystemMemory::State {
  explicit State(SystemCalls& real_calls) noexcept : calls(real_calls) {}

  CountedCalls calls;
  size_t guard_before_bytes = 0;
  size_t guard_behind_bytes = 0;
  CommitPolicy commit = CommitPolicy::kOnTouch;
  HugePages huge_pages = HugePages::kNever;
  // Relaxed throughout: a kernel that lacks the call lacks it for every thread, and one that learns
  // it late has made one call too many.
  std::atomic<bool> commit_by_touch{false};

  // Held for the bookkeeping alone and never during a system call, so that one thread's commit of
  // gigabytes keeps nobody waiting.
  std::mutex mutex;
  PageRanges committed;  // Guarded by `mutex`.
  // Changes under `mutex`; read without.
  std::atomic<uint64_t> committed_bytes{0};
};

// The sizes of one reservation, all of them whole pages and their sums free of overflow.
struct SystemMemory::Layout {
  size_t size_bytes = 0;
  size_t page_bytes = 0;
  size_t alignment = 0;
  size_t guard_before_bytes = 0;
  size_t guard_behind_bytes = 0;
  // The range, its guards, and what may be lost to alignment.
  size_t map_bytes = 0;
  // The first mapping is of huge pages already: nothing around the range has other pages.
  bool map_huge_pages = false;
};

SystemMemory::SystemMemory() noexcept = default;

SystemMemory::SystemMemory(SystemMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)),
      page_bytes_(std::exchange(other.page_bytes_, 0)),
      state_(std::move(other.state_)) {}

SystemMemory& SystemMemory::operator=(SystemMemory&& other) noexcept {
  if (this == &other) return *this;
  Release();
  data_ = std::exchange(other.data_, nullptr);
  size_bytes_ = std::exchange(other.size_bytes_, 0);
  page_bytes_ = std::exchange(other.page_bytes_, 0);
  state_ = std::move(other.state_);
  return *this;
}

SystemMemory::~SystemMemory() { Release(); }

void SystemMemory::Release() noexcept {
  if (data_ == nullptr) return;
  const size_t before_bytes = state_->guard_before_bytes;
  if (state_->calls.Unmap(data_ - before_bytes,
                          before_bytes + size_bytes_ + state_->guard_behind_bytes) != 0) {
    // The kernel may refuse to cut the range out of a larger mapping at the limit of mappings. The
    // addresses are lost then; the memory need not be.
    state_->calls.Advise(data_, size_bytes_, MADV_DONTNEED);
  }
  data_ = nullptr;
  size_bytes_ = 0;
  page_bytes_ = 0;
  state_.reset();
}

Expected<SystemMemory::Layout> SystemMemory::Plan(const SystemMemoryOptions& options,
                                                  size_t system_page_bytes) {
  const auto invalid = [](auto write) {
    return tl::unexpected(
        MakeError(ErrorCode::kInvalidArgument, "SystemMemory::Reserve", 0, write));
  };
  if (options.reserve_bytes == 0) {
    return invalid([] { return std::string("reserve_bytes is 0; nothing to reserve"); });
  }
  if (options.alignment != 0 &&
      (!IsPowerOfTwo(options.alignment) || options.alignment < system_page_bytes)) {
    return invalid([&] {
      return "alignment is " + std::to_string(options.alignment) +
             "; it has to be a power of two of at least the page size, " +
             std::to_string(system_page_bytes) + ", or 0";
    });
  }
  const bool pooled = options.huge_pages == HugePages::kRequire;
  const bool guarded = options.guard_before_bytes != 0 || options.guard_behind_bytes != 0;
  Layout layout;
  layout.page_bytes = pooled ? kHugePageBytes : system_page_bytes;
  layout.alignment =
      std::max(options.alignment,
               options.huge_pages == HugePages::kNever ? system_page_bytes : kHugePageBytes);
  layout.map_huge_pages = pooled && !guarded && layout.alignment == kHugePageBytes;
  const std::optional<size_t> size = RoundUp(options.reserve_bytes, layout.page_bytes);
  const std::optional<size_t> before = RoundUp(options.guard_before_bytes, system_page_bytes);
  const std::optional<size_t> behind = RoundUp(options.guard_behind_bytes, system_page_bytes);
  std::optional<size_t> total;
  if (size && before && behind) {
    // mmap aligns to its pages; the rest of the alignment has to be cut from a larger range.
    const size_t mapped_alignment = layout.map_huge_pages ? kHugePageBytes : system_page_bytes;
    total = Sum({*before, *size, *behind, layout.alignment - mapped_alignment});
  }
  if (!total) {
    return invalid([&] {
      return "reserve_bytes " + std::to_string(options.reserve_bytes) + " with guards of " +
             std::to_string(options.guard_before_bytes) + " and " +
             std::to_string(options.guard_behind_bytes) + " bytes and an alignment of " +
             std::to_string(layout.alignment) + " is more than addresses can count";
    });
  }
  layout.size_bytes = *size;
  layout.guard_before_bytes = *before;
  layout.guard_behind_bytes = *behind;
  layout.map_bytes = *total;
  return layout;
}

Expected<SystemMemory> SystemMemory::Reserve(const SystemMemoryOptions& options) {
  const Expected<Layout> layout = Plan(options, SystemPageBytes());
  if (!layout) return tl::unexpected(layout.error());

  SystemMemory memory;
  SystemCalls& calls =
      options.system_calls != nullptr ? *options.system_calls : SystemCalls::Real();
  memory.state_.reset(new (std::nothrow) State(calls));
  if (memory.state_ == nullptr) {
    return tl::unexpected(MakeError(ErrorCode::kOutOfMemory, "SystemMemory::Reserve", ENOMEM, [] {
      return std::string("malloc refused the bookkeeping of a reservation");
    }));
  }
  memory.page_bytes_ = layout->page_bytes;
  memory.state_->commit = options.commit;
  if (auto mapped = memory.MapRange(options, *layout); !mapped) {
    return tl::unexpected(std::move(mapped.error()));
  }
  if (auto active = memory.Activate(options); !active) {
    return tl::unexpected(std::move(active.error()));
  }
  return memory;
}

Expected<void> SystemMemory::MapRange(const SystemMemoryOptions& options, const Layout& layout) {
  SystemCalls& calls = state_->calls;
  // Guards stay as they are mapped, out of bounds; Activate opens what lies between them.
  const bool open = options.commit == CommitPolicy::kOnTouch && layout.guard_before_bytes == 0 &&
                    layout.guard_behind_bytes == 0;
  // Without MAP_NORESERVE the kernel's heuristic refuses more than memory and swap together. Huge
  // pages are different: the pool has to set them aside now, or a later touch kills the process.
  void* const mapped =
      calls.Map(nullptr, layout.map_bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE,
                layout.map_huge_pages ? kHugePageFlags : MAP_NORESERVE);
  if (mapped != MAP_FAILED) return PlaceInside(static_cast<std::byte*>(mapped), layout);
  const int why = errno;
  if (layout.map_huge_pages) return tl::unexpected(HugePageError(calls, layout.size_bytes, why));
  return tl::unexpected(MakeError(CodeOfErrno(why), "SystemMemory::Reserve", why, [&] {
    return "could not reserve " + DescribeBytes(layout.map_bytes) +
           " of address space: " + DescribeErrno(why) + "; " + DescribeLimits(calls);
  }));
}

Expected<void> SystemMemory::PlaceInside(std::byte* mapped, const Layout& layout) {
  SystemCalls& calls = state_->calls;
  const auto address = reinterpret_cast<uintptr_t>(mapped);
  const size_t head_bytes = AlignUp(address + layout.guard_before_bytes, layout.alignment) -
                            layout.guard_before_bytes - address;
  const size_t kept_bytes =
      layout.guard_before_bytes + layout.size_bytes + layout.guard_behind_bytes;
  const size_t tail_bytes = layout.map_bytes - head_bytes - kept_bytes;
  std::byte* const kept = mapped + head_bytes;

  const auto refuse = [&](std::byte* left, size_t left_bytes) -> Expected<void> {
    const int why = errno;
    calls.Unmap(left, left_bytes);
    return tl::unexpected(MakeError(CodeOfErrno(why), "SystemMemory::Reserve", why, [&] {
      return "could not cut a range aligned to " + DescribeBytes(layout.alignment) + " out of " +
             DescribeBytes(layout.map_bytes) + ": " + DescribeErrno(why) + "; " +
             DescribeLimits(calls);
    }));
  };
  if (head_bytes != 0 && calls.Unmap(mapped, head_bytes) != 0) {
    return refuse(mapped, layout.map_bytes);
  }
  if (tail_bytes != 0 && calls.Unmap(kept + kept_bytes, tail_bytes) != 0) {
    return refuse(kept, kept_bytes + tail_bytes);
  }
  // From here on the destructor unmaps.
  data_ = kept + layout.guard_before_bytes;
  size_bytes_ = layout.size_bytes;
  state_->guard_before_bytes = layout.guard_before_bytes;
  state_->guard_behind_bytes = layout.guard_behind_bytes;
  return {};
}

Expected<void> SystemMemory::Activate(const SystemMemoryOptions& options) {
  SystemCalls& calls = state_->calls;
  const bool guarded = state_->guard_before_bytes != 0 || state_->guard_behind_bytes != 0;
  const bool on_touch = options.commit == CommitPolicy::kOnTouch;
  if (options.huge_pages == HugePages::kRequire) {
    state_->huge_pages = HugePages::kRequire;
    const bool mapped_already = !guarded && options.alignment <= kHugePageBytes;
    if (mapped_already) return {};
    if (calls.Map(data_, size_bytes_, on_touch ? PROT_READ | PROT_WRITE : PROT_NONE,
                  kHugePageFlags | MAP_FIXED) == MAP_FAILED) {
      return tl::unexpected(HugePageError(calls, size_bytes_, errno));
    }
    return {};
  }
  if (guarded && on_touch && calls.Protect(data_, size_bytes_, PROT_READ | PROT_WRITE) != 0) {
    const int why = errno;
    return tl::unexpected(MakeError(CodeOfErrno(why), "SystemMemory::Reserve", why, [&] {
      return "could not make " + DescribeBytes(size_bytes_) +
             " between guard pages accessible: " + DescribeErrno(why) + "; " +
             DescribeLimits(calls);
    }));
  }
  return AdviseHugePages(options.huge_pages);
}

Expected<void> SystemMemory::AdviseHugePages(HugePages huge_pages) {
  SystemCalls& calls = state_->calls;
  const bool wanted = huge_pages == HugePages::kAdvise;
  if (calls.Advise(data_, size_bytes_, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0) {
    state_->huge_pages = huge_pages;
    return {};
  }
  // A kernel without transparent huge pages does not know the advice. That is what kNever wants,
  // and kAdvise can do without; Report() tells.
  if (errno == EINVAL) return {};
  const int why = errno;
  return tl::unexpected(MakeError(CodeOfErrno(why), "SystemMemory::Reserve", why, [&] {
    return "could not advise huge pages '" + std::string(HugePagesName(huge_pages)) + "' for " +
           DescribeBytes(size_bytes_) + ": " + DescribeErrno(why) + "; " + DescribeLimits(calls);
  }));
}

Expected<void> SystemMemory::CheckRange(const char* where, uint64_t offset, size_t bytes) const {
  if (state_ != nullptr && offset <= size_bytes_ && bytes <= size_bytes_ - offset) return {};
  return tl::unexpected(MakeError(ErrorCode::kInvalidArgument, where, 0, [&] {
    if (state_ == nullptr) return std::string("nothing is reserved");
    return std::to_string(bytes) + " bytes at offset " + std::to_string(offset) +
           " leave the reservation of " + DescribeBytes(size_bytes_);
  }));
}

Expected<void> SystemMemory::Commit(uint64_t offset, size_t bytes) {
  static constexpr const char* kWhere = "SystemMemory::Commit";
  if (auto fits = CheckRange(kWhere, offset, bytes); !fits) return fits;
  if (offset % page_bytes_ != 0) {
    return tl::unexpected(MakeError(ErrorCode::kInvalidArgument, kWhere, 0, [&] {
      return "offset " + std::to_string(offset) + " is not a multiple of the page size, " +
             std::to_string(page_bytes_);
    }));
  }
  if (bytes == 0) return {};
  std::optional<PageRanges::Spare> spare = PageRanges::MakeSpare();
  if (!spare) {
    return tl::unexpected(MakeError(ErrorCode::kOutOfMemory, kWhere, ENOMEM, [] {
      return std::string("malloc refused the record of a commit");
    }));
  }
  // The range fits the reservation, whose size is whole pages: its end does too.
  const uint64_t end = offset + AlignUp(bytes, page_bytes_);
  for (uint64_t at = offset; at < end;) {
    PageRanges::Range gap;
    {
      const std::lock_guard lock(state_->mutex);
      gap = state_->committed.FirstGap(at, end);
    }
    if (gap.begin == gap.end) break;
    if (auto committed = CommitGap(gap.begin, gap.end); !committed) {
      if (state_->commit == CommitPolicy::kOnRequest) GiveBackGaps(offset, gap.end);
      return committed;
    }
    at = gap.end;
  }
  const std::lock_guard lock(state_->mutex);
  const uint64_t added = state_->committed.Add(offset, end, std::move(*spare));
  state_->committed_bytes.fetch_add(added, std::memory_order_relaxed);
  return {};
}

Expected<void> SystemMemory::CommitGap(uint64_t begin, uint64_t end) {
  std::byte* const first = data_ + begin;
  const size_t bytes = end - begin;
  if (state_->commit == CommitPolicy::kOnRequest &&
      state_->calls.Protect(first, bytes, PROT_READ | PROT_WRITE) != 0) {
    const int why = errno;
    return tl::unexpected(MakeError(CodeOfErrno(why), "SystemMemory::Commit", why, [&] {
      return "could not make " + DescribeBytes(bytes) + " at offset " + std::to_string(begin) +
             " accessible: " + DescribeErrno(why) + "; " + DescribeLimits(state_->calls);
    }));
  }
  return Populate(first, bytes);
}

Expected<void> SystemMemory::Populate(std::byte* first, size_t bytes) {
  if (!state_->commit_by_touch.load(std::memory_order_relaxed)) {
    if (state_->calls.Advise(first, bytes, MADV_POPULATE_WRITE) == 0) return {};
    const int why = errno;
    if (why != EINVAL) {
      // EFAULT is what a touch would have died of: no page could be had, as from an empty pool of
      // huge pages.
      const ErrorCode code = why == EFAULT ? ErrorCode::kOutOfMemory : CodeOfErrno(why);
      return tl::unexpected(MakeError(code, "SystemMemory::Commit", why, [&] {
        return "could not bring pages for " + DescribeBytes(bytes) + " at offset " +
               std::to_string(first - data_) + ": " + DescribeErrno(why) + "; " +
               DescribeBytes(committed_bytes()) + " of " + DescribeBytes(size_bytes_) +
               " are committed; " + DescribeLimits(state_->calls);
      }));
    }
    state_->commit_by_touch.store(true, std::memory_order_relaxed);
  }
  TouchPages(first, bytes, page_bytes_);
  return {};
}

void SystemMemory::GiveBackGaps(uint64_t begin, uint64_t end) noexcept {
  while (begin < end) {
    PageRanges::Range gap;
    {
      const std::lock_guard lock(state_->mutex);
      gap = state_->committed.FirstGap(begin, end);
    }
    if (gap.begin == gap.end) return;
    // Nothing to be done if it fails: the pages are zeros, unrecorded, and a later Commit's.
    state_->calls.Advise(data_ + gap.begin, gap.end - gap.begin, MADV_DONTNEED);
    begin = gap.end;
  }
}

Expected<size_t> SystemMemory::Decommit(uint64_t offset, size_t bytes) {
  static constexpr const char* kWhere = "SystemMemory::Decommit";
  if (auto fits = CheckRange(kWhere, offset, bytes); !fits) return tl::unexpected(fits.error());
  // Inward to whole pages; the range fits the reservation, so that neither bound overflows.
  const uint64_t begin = AlignUp(offset, page_bytes_);
  const uint64_t end = (offset + bytes) & ~uint64_t{page_bytes_ - 1};
  if (begin >= end) return size_t{0};
  std::optional<PageRanges::Spare> spare = PageRanges::MakeSpare();
  if (!spare) {
    return tl::unexpected(MakeError(ErrorCode::kOutOfMemory, kWhere, ENOMEM, [] {
      return std::string("malloc refused the record of a decommit");
    }));
  }
  const size_t whole_bytes = end - begin;
  if (state_->calls.Advise(data_ + begin, whole_bytes, MADV_DONTNEED) != 0) {
    const int why = errno;
    return tl::unexpected(MakeError(CodeOfErrno(why), kWhere, why, [&] {
      return "could not give back " + DescribeBytes(whole_bytes) + " at offset " +
             std::to_string(begin) + ": " + DescribeErrno(why) +
             (why == EINVAL ? "; are the pages locked (mlock, mlockall)?" : "");
    }));
  }
  const std::lock_guard lock(state_->mutex);
  const uint64_t removed = state_->committed.Remove(begin, end, std::move(*spare));
  state_->committed_bytes.fetch_sub(removed, std::memory_order_relaxed);
  return whole_bytes;
}

uint64_t SystemMemory::committed_bytes() const noexcept {
  return state_ == nullptr ? 0 : state_->committed_bytes.load(std::memory_order_relaxed);
}

SystemMemoryReport SystemMemory::Report() const {
  SystemMemoryReport report;
  if (state_ == nullptr) return report;
  report.reserved_bytes = size_bytes_;
  report.base_alignment_bytes = size_t{1} << std::countr_zero(reinterpret_cast<uintptr_t>(data_));
  report.page_bytes = page_bytes_;
  report.guard_before_bytes = state_->guard_before_bytes;
  report.guard_behind_bytes = state_->guard_behind_bytes;
  report.committed_bytes = committed_bytes();
  report.commit = state_->commit;
  report.transparent_huge_pages = ReadTransparentHugePages(state_->calls);
  report.huge_pages = state_->huge_pages;
  if (report.huge_pages == HugePages::kAdvise &&
      report.transparent_huge_pages == TransparentHugePages::kNever) {
    report.huge_pages = HugePages::kNever;
  }
  report.commit_by_touch = state_->commit_by_touch.load(std::memory_order_relaxed);
  report.system_calls = state_->calls.count();
  return report;
}

Expected<size_t> SystemMemory::ResidentBytes(uint64_t offset, size_t bytes) const {
  static constexpr const char* kWhere = "SystemMemory::ResidentBytes";
  if (auto fits = CheckRange(kWhere, offset, bytes); !fits) return tl::unexpected(fits.error());
  // mincore answers in the system's pages whatever the mapping's are.
  const size_t page_bytes = SystemPageBytes();
  const uint64_t end = AlignUp(offset + bytes, page_bytes);
  std::array<unsigned char, 16384> pages;
  size_t resident_pages = 0;
  for (uint64_t at = offset & ~uint64_t{page_bytes - 1}; bytes != 0 && at < end;) {
    const size_t step = std::min<size_t>(end - at, pages.size() * page_bytes);
    if (state_->calls.Resident(data_ + at, step, pages.data()) != 0) {
      const int why = errno;
      return tl::unexpected(MakeError(CodeOfErrno(why), kWhere, why, [&] {
        return "could not ask which of " + DescribeBytes(step) + " at offset " +
               std::to_string(at) + " are resident: " + DescribeErrno(why);
      }));
    }
    for (size_t i = 0; i < step / page_bytes; ++i) resident_pages += pages[i] & 1u;
    at += step;
  }
  return resident_pages * page_bytes;
}

}  // namespace granary
