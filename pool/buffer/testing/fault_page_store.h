// FaultPageStore: a page store on a bad day.
//
//   FaultPageStore store(std::move(inner), {.seed = seed});
//   store.InjectNth(PageFault::kTornWrite, 3);         // The third page that is written from now
//   on. store.InjectRandomly(PageFault::kLostWrite, 0.01);
//   ... run the engine on it ...
//   for (const auto& [page, fault] : store.damaged()) ...   // Each must be found when it is read.
//
// It wraps any store, and is one. What it injects it counts and logs, and it knows at each moment
// which pages do not hold what their last write was to leave, and why: damaged(). A fault that
// would change nothing (a torn write of a page whose sectors are all the same as before but for
// one, a lost write of the bytes that are there) is not injected, and in no count.
//
// Power cuts. What was written since the last Sync is in the store and not yet durable. CutPower
// lets each of these changes survive, or be torn between sectors of 512 bytes, or be dropped, as
// the seed says, whatever came after it; Extend and Truncate survive or do not. Every call fails
// then until Reboot. To cut the power of a log and of pages at the same moment, have both as
// files of one SimulatedFiles (memory/testing/), the pages through a PosixPageStore.
//
// Randomness. All of it from the seed: the same calls in the same order meet the same faults.
//
// Costs. It reads each page before the page is first written after a Sync, keeps a copy of
// each change until the next, and does pages one by one.
//
// Threading. Any thread may call anything; one lock makes it one after the other.
#ifndef GRANARY_POOL_BUFFER_TESTING_FAULT_PAGE_STORE_H_
#define GRANARY_POOL_BUFFER_TESTING_FAULT_PAGE_STORE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/error.h"
#include "pool/buffer/page_store.h"

namespace granary {

enum class PageFault : uint8_t {
  // Of a page that is read.
  kReadError,        // EIO.
  kShortRead,        // A part of it, and EIO.
  kReadBitFlip,      // All of it, but for one bit; reported as success, as are all that follow.
  kMisdirectedRead,  // Another page.
  // Of a page that is written.
  kWriteError,        // EIO, and nothing is done.
  kShortWrite,        // Some sectors, from the first on, and EIO.
  kTornWrite,         // Some sectors, any of them; reported as success, as are all that follow.
  kMisdirectedWrite,  // To another page, which is gone; this one stays as it was.
  kLostWrite,         // Nothing is done.
  kDelayedWrite,  // Done at the next Sync, or after some calls: see DelayFor. Until then the page
                  // reads as before; if it is written meanwhile, that is what stays.
  // Of a Sync.
  kSyncError,  // kIo, and the store stays failed for Sync until Reboot.
  // What a power cut left of a page; nobody injects these.
  kPowerCutTorn,
  kPowerCutDropped,
};
inline constexpr size_t kPageFaults = 13;

// "torn write", ...: for logs and messages.
const char* PageFaultName(PageFault fault) noexcept;

// One fault that happened.
struct InjectedFault {
  PageFault fault;
  // The page that was asked for; 0 of a Sync.
  uint64_t page = 0;
  // Where a misdirected one went.
  uint64_t other_page = 0;

  friend bool operator==(const InjectedFault&, const InjectedFault&) = default;
};

struct FaultPageStoreOptions {
  uint64_t seed = 1;
  // Without it CutPower loses nothing, and nothing is kept for it.
  bool keeps_unsynced = true;
};

class FaultPageStore final : public PageStore {
 public:
  using Options = FaultPageStoreOptions;
  static constexpr size_t kSectorBytes = 512;

  // What is in `inner` is durable. Not null.
  explicit FaultPageStore(std::unique_ptr<PageStore> inner, const Options& options = {});
  // Over a store that outlives it: to look at the pages behind its back, or to go on with them
  // after the engine has destroyed this one.
  explicit FaultPageStore(PageStore& inner, const Options& options = {});

  // --- What shall go wrong ----------------------------------------------------------------------

  // The nth page read, page written or Sync from now on, counted from 1. Any number of these may be
  // outstanding; where two meet, the fault that is first in PageFault happens.
  void InjectNth(PageFault fault, uint64_t nth);
  // Each page read, page written or Sync, with this probability from 0 to 1.
  void InjectRandomly(PageFault fault, double probability);
  // Nothing from now on. Delayed writes stay delayed.
  void InjectNothing();
  // Delayed writes are done before the nth call after theirs; 0, as at the start: at the next Sync.
  void DelayFor(uint64_t calls);

  // Now.
  void CutPower();
  // In the nth change from now on: a page that is written, an Extend, a Truncate or a Sync. It
  // fails, and may have been done.
  void CutPowerAt(uint64_t nth);
  bool is_down() const;
  // Calls work again. The error, if any, is the inner store's: it could not be brought into the
  // state that the power cut leaves.
  Expected<void> Reboot();

  // --- What happened ----------------------------------------------------------------------------

  uint64_t injected(PageFault fault) const;
  std::vector<InjectedFault> log() const;
  // Pages that do not hold what the last write that was reported as a success was to leave; or that
  // a short write or a power cut left half done. A page that is written right is no more among
  // them. What a power cut dropped is missing rightly, and is not.
  std::map<uint64_t, PageFault> damaged() const;
  // Changes so far, in the sense of CutPowerAt.
  uint64_t changes() const;
  // Of these, those that no Sync has made durable.
  size_t unsynced_changes() const;

  // --- PageStore --------------------------------------------------------------------------------

  void Read(std::span<PageRead> pages) noexcept override;
  void Write(std::span<PageWrite> pages) noexcept override;
  Expected<void> Sync() override;
  uint64_t PageCount() const noexcept override { return inner_.PageCount(); }
  Expected<void> Extend(uint64_t pages) override;
  Expected<void> Truncate(uint64_t pages) override;
  IoLimits Limits() const noexcept override { return inner_.Limits(); }
  std::string RegisterMemory(std::span<std::byte> memory) override;
  std::string_view name() const noexcept override { return inner_.name(); }

 private:
  // Memory as the inner store wants it.
  struct AlignedFree {
    void operator()(std::byte* bytes) const noexcept;
  };
  using Bytes = std::unique_ptr<std::byte[], AlignedFree>;

  // What a page holds, and what is wrong with that.
  struct Content {
    Bytes bytes;
    std::optional<PageFault> damage;
  };
  struct Change {
    enum class Kind : uint8_t { kWrite, kExtend, kTruncate } kind;
    // The page that is written, or the new count.
    uint64_t number = 0;
    Content content;
  };
  struct Delayed {
    uint64_t due_call = 0;
    Bytes bytes;
  };

  Bytes Make() const;
  Bytes CopyOf(const std::byte* bytes) const;
  bool IsSame(const std::byte* a, const std::byte* b) const noexcept;
  size_t Below(size_t limit) { return static_cast<size_t>(random_() % limit); }
  std::optional<uint64_t> AnotherPage(uint64_t page);
  std::optional<PageFault> Choose(PageFault first, PageFault last, uint64_t number);
  void Log(PageFault fault, uint64_t page, uint64_t other_page = 0);
  tl::unexpected<Error> Down(const char* where) const;

  // Of a call: does what is due.
  void BeginCall();
  // Of a change: whether it is the one that the power goes in.
  bool PowerGoes();

  void ReadOne(PageRead& read);
  void WriteOne(PageWrite& write);
  int WriteFaulty(const PageWrite& write, PageFault fault, const Bytes& old);
  // The page's bytes; zeros beyond the end.
  int Load(uint64_t page, std::byte* bytes);
  int Store(uint64_t page, const std::byte* bytes, std::optional<PageFault> damage);
  // The page is there, and does not hold what it should.
  int MakeStale(uint64_t page, PageFault fault);
  int KeepBefore(uint64_t page);
  // `bytes` with some of the sectors of `old` that differ, and not all of them; null if there is
  // but one. `in_order`: the new ones come first.
  Bytes Tear(const std::byte* old, const std::byte* bytes, bool in_order);
  int DoDelayed(uint64_t page, Bytes bytes);
  Expected<void> ExtendInner(uint64_t pages);

  void Cut();
  Expected<void> LeaveWhatSurvives();

  const std::unique_ptr<PageStore> owned_;
  PageStore& inner_;
  const bool keeps_unsynced_;

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  // The numbers of the pages or syncs that are to meet a fault, and the odds of all others.
  std::array<std::set<uint64_t>, kPageFaults> planned_;
  std::array<double, kPageFaults> odds_ = {};
  uint64_t reads_ = 0;
  uint64_t writes_ = 0;
  uint64_t syncs_ = 0;
  uint64_t calls_ = 0;
  uint64_t changes_count_ = 0;
  uint64_t cut_at_ = 0;
  uint64_t delay_calls_ = 0;
  std::map<uint64_t, Delayed> delayed_;

  // As of the last Sync: the count, and the pages that were changed since; and these changes.
  uint64_t durable_count_;
  std::map<uint64_t, Content> before_;
  std::vector<Change> changes_;
  bool is_down_ = false;
  Expected<void> cut_result_;
  std::optional<Error> sync_error_;

  std::array<uint64_t, kPageFaults> injected_ = {};
  std::vector<InjectedFault> log_;
  std::map<uint64_t, PageFault> damaged_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_TESTING_FAULT_PAGE_STORE_H_
