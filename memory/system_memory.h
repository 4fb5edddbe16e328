// SystemMemory: a range of addresses from the system, reserved first and filled with memory later.
//
// Choose it under a page pool, a region or anything else that wants one contiguous range whose size
// is fixed early and whose memory comes and goes: a reservation of a terabyte takes microseconds
// and touches nothing. For blocks of unrelated sizes take MallocResource.
//
//   auto memory = granary::SystemMemory::Reserve({.reserve_bytes = 64ull << 30});
//   if (!memory) return tl::unexpected(memory.error());
//   memory->Commit(0, 1 << 20);      // the pages are there, or the error says why not
//   memory->Decommit(0, 1 << 20);    // the pages are the system's again, the addresses ours
//
// Who brings the pages. Under CommitPolicy::kOnTouch the whole range can be read and written from
// the start, and the kernel brings a page when it is first written; a system that has none left
// then kills the process. Under kOnRequest the range is out of bounds until Commit, which brings
// all its pages or fails as a value. An engine with a memory budget wants kOnRequest, or kOnTouch
// with a Commit of what it cannot do without.
//
// Costs. Reserve: one to five system calls, about 10 us on the reference machine whatever the size.
// Commit: one madvise, and under kOnRequest one mprotect, for each part of the range that is not
// committed yet; the kernel finds and zeroes the pages, 0.6 us a KiB there with pages of 4 KiB.
// Decommit: one madvise, 0.13 us for each KiB that was resident. Both also take a short lock and a
// small malloc for the record of what is committed. data() and size_bytes() are loads.
//
// Threading. Commit, Decommit, Report and the figures may be called from any thread; calls on
// ranges that overlap are the caller's to order, as is access to memory that is being decommitted.
// Moving and destroying are one thread's.
//
// Fork. The mapping is private: a child has a copy of it, page by page on the first write, and its
// own SystemMemory unmaps only its own. What Commit promised the parent does not hold for pages
// shared with a child: writing them takes new memory. A child of a process with several threads
// calls nothing here before exec, because another thread may have held the lock.
//
// Errors are values: kInvalidArgument for requests that make no sense, kOutOfMemory when the
// system or a limit refuses, kUnsupported when huge pages must be there and are not, kIo for every
// other failure of a system call. After an error of Reserve nothing is left mapped.
#ifndef GRANARY_MEMORY_SYSTEM_MEMORY_H_
#define GRANARY_MEMORY_SYSTEM_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "memory/error.h"

namespace granary {

class SystemCalls;

// When pages come into a reserved range.
enum class CommitPolicy : uint8_t {
  kOnTouch,    // When they are first written; everything is accessible from the start.
  kOnRequest,  // When Commit asks for them; everything else is out of bounds.
};

// What is asked of huge pages.
enum class HugePages : uint8_t {
  kNever,    // Ordinary pages only: memory comes and goes page by page.
  kAdvise,   // Transparent huge pages where the kernel has them; the base is aligned to one.
  kRequire,  // Pages from the system's pool of huge pages, all set aside at Reserve, or an error.
};

// The system-wide mode of transparent huge pages.
enum class TransparentHugePages : uint8_t {
  kUnknown,  // The kernel has none, or /sys cannot be read.
  kAlways,
  kMadvise,
  kNever,
};

// "never", "advise", "require": for logs and messages.
const char* HugePagesName(HugePages huge_pages) noexcept;

// "unknown", "always", "madvise", "never": for logs and messages.
const char* TransparentHugePagesName(TransparentHugePages mode) noexcept;

// What a SystemMemory is told when it reserves its range.
struct SystemMemoryOptions {
  // The bytes the caller will use, rounded up to whole pages (to huge pages under kRequire). Not 0.
  size_t reserve_bytes = 0;
  // The base is a multiple of it: a power of two of at least the page size, or 0 for the page size.
  size_t alignment = 0;
  CommitPolicy commit = CommitPolicy::kOnTouch;
  HugePages huge_pages = HugePages::kNever;
  // Address space before and behind the range where every access faults; rounded up to pages.
  size_t guard_before_bytes = 0;
  size_t guard_behind_bytes = 0;
  // Null for the real ones; a test passes its own, which outlive the SystemMemory.
  SystemCalls* system_calls = nullptr;
};

// What a SystemMemory really got, and what it has done since.
struct SystemMemoryReport {
  // Usable bytes, without guards.
  size_t reserved_bytes = 0;
  // The largest power of two that divides the base address; at least what was asked for.
  size_t base_alignment_bytes = 0;
  // The unit of Commit and Decommit: the system's page, or a huge page under kRequire.
  size_t page_bytes = 0;
  size_t guard_before_bytes = 0;
  size_t guard_behind_bytes = 0;
  // What Commit brought and Decommit has not taken. Pages that touching brought do not count.
  uint64_t committed_bytes = 0;
  CommitPolicy commit = CommitPolicy::kOnTouch;
  // kAdvise only if the kernel took the advice and its mode is not kNever.
  HugePages huge_pages = HugePages::kNever;
  // As /sys says at the moment of the report.
  TransparentHugePages transparent_huge_pages = TransparentHugePages::kUnknown;
  // True once Commit found a kernel without MADV_POPULATE_WRITE (before 5.14). It then touches
  // every page instead, and a system that is out of memory kills the process.
  bool commit_by_touch = false;
  // How many calls went to the kernel since Reserve, this report's own included.
  uint64_t system_calls = 0;
};

// One reserved range of addresses. Moves, does not copy; unmaps on destruction.
class SystemMemory {
 public:
  // The size of the huge pages that kAdvise aligns to and kRequire takes.
  static constexpr size_t kHugePageBytes = size_t{2} << 20;

  // Reserves a range and touches none of it. The bytes read as zeros.
  //
  // kInvalidArgument: no bytes, an alignment that is no power of two or smaller than a page, sizes
  // whose sum overflows. kOutOfMemory: a limit on address space or mappings, strict overcommit, or
  // fewer free huge pages than asked for. kUnsupported: kRequire on a system without huge pages.
  static Expected<SystemMemory> Reserve(const SystemMemoryOptions& options);

  // Nothing reserved: data() is null, size_bytes() is 0. What a moved-from object is, too.
  SystemMemory() noexcept;
  SystemMemory(SystemMemory&& other) noexcept;
  SystemMemory& operator=(SystemMemory&& other) noexcept;
  ~SystemMemory();

  // The first byte of the range, aligned as the options said.
  std::byte* data() const noexcept { return data_; }

  // Usable bytes from data() on.
  size_t size_bytes() const noexcept { return size_bytes_; }

  // The unit of Commit and Decommit in bytes; 0 where nothing is reserved.
  size_t page_bytes() const noexcept { return page_bytes_; }

  // Brings every page of [offset, offset + bytes) that is not committed yet, so that no later
  // access waits for memory or dies for lack of it. `offset` is a multiple of page_bytes(); the end
  // is rounded up to a page. Keeps what committed pages hold. Of no bytes it does nothing.
  //
  // kInvalidArgument: a misaligned offset, or a range that leaves the reservation. kOutOfMemory:
  // the system refused pages. After an error the same bytes are committed as before and hold what
  // they held. Under kOnRequest the pages that came before the refusal have been given back, and
  // may be read as zeros; under kOnTouch they stay.
  Expected<void> Commit(uint64_t offset, size_t bytes);

  // Gives the whole pages inside [offset, offset + bytes) back to the system; returns how many
  // bytes they are. The pages at the range's ends that it covers in part stay. A later read finds
  // zeros. Under kOnRequest a write has to wait for the next Commit: it would go through, but the
  // memory would be missing from committed_bytes(), and a Commit that fails drops it.
  //
  // kInvalidArgument: a range that leaves the reservation. After any other error (a page is locked,
  // say) the bookkeeping is as before and the range's content is either what it was or zeros.
  Expected<size_t> Decommit(uint64_t offset, size_t bytes);

  // What Commit brought and Decommit has not taken, in bytes.
  uint64_t committed_bytes() const noexcept;

  // What was really had. Reads one file of /sys.
  SystemMemoryReport Report() const;

  // How many bytes of [offset, offset + bytes) are in physical memory now. Pages that were only
  // ever read count although they share one page of zeros. Cost: one mincore for each 64 MiB.
  // kInvalidArgument as Decommit; pages that are covered in part count whole.
  Expected<size_t> ResidentBytes(uint64_t offset, size_t bytes) const;

  // The same for the whole range.
  Expected<size_t> ResidentBytes() const { return ResidentBytes(0, size_bytes_); }

 private:
  struct State;
  struct Layout;

  static Expected<Layout> Plan(const SystemMemoryOptions& options, size_t system_page_bytes);
  Expected<void> MapRange(const SystemMemoryOptions& options, const Layout& layout);
  Expected<void> PlaceInside(std::byte* mapped, const Layout& layout);
  Expected<void> Activate(const SystemMemoryOptions& options);
  Expected<void> AdviseHugePages(HugePages huge_pages);
  Expected<void> CheckRange(const char* where, uint64_t offset, size_t bytes) const;
  Expected<void> CommitGap(uint64_t begin, uint64_t end);
  Expected<void> Populate(std::byte* first, size_t bytes);
  void GiveBackGaps(uint64_t begin, uint64_t end) noexcept;
  void Release() noexcept;

  std::byte* data_ = nullptr;
  size_t size_bytes_ = 0;
  size_t page_bytes_ = 0;
  // What does not move: the lock, the record of what is committed, the counters.
  std::unique_ptr<State> state_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_SYSTEM_MEMORY_H_
