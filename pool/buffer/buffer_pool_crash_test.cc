// What a pool leaves on a bad disk: pages that were torn or went astray are found when they are
// read, writes that were lost when they are held against the log, and after a power cut at any
// moment recovery from a small redo log brings back every change that was acknowledged.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/testing/fault_page_store.h"
#include "pool/buffer/testing/tested_pool.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr uint64_t kPages = 60;
constexpr size_t kSlots = 32;

// A change of one slot of a page. A record's LSN is its place in the log, from 1.
struct Change {
  uint64_t page;
  size_t slot;
  uint64_t value;
};

// The log: what is behind flushed() is gone with the power.
class RedoLog final : public WalGate {
 public:
  Lsn Append(const Change& change) {
    changes_.push_back(change);
    return changes_.size();
  }
  const Change& At(Lsn lsn) const { return changes_[lsn - 1]; }
  Lsn Flushed() const noexcept override { return flushed_; }
  Expected<void> FlushTo(Lsn lsn) override {
    flushed_ = std::max(flushed_, lsn);
    return {};
  }
  void CutPower() { changes_.resize(flushed_); }
  Lsn end() const { return changes_.size(); }

 private:
  std::vector<Change> changes_;
  Lsn flushed_ = 0;
};

// A store that sees whether a page comes before the log.
class GatedStore final : public PageStore {
 public:
  GatedStore(PageStore& store, const RedoLog& log, size_t* violations)
      : PageStore(store.page_bytes()), store_(store), log_(log), violations_(violations) {}

  void Read(std::span<PageRead> pages) noexcept override { store_.Read(pages); }
  void Write(std::span<PageWrite> pages) noexcept override {
    const ChecksumPageCodec codec;
    for (const PageWrite& page : pages) {
      *violations_ += codec.LsnOf({page.bytes, page_bytes()}) > log_.Flushed();
    }
    store_.Write(pages);
  }
  Expected<void> Sync() override { return store_.Sync(); }
  uint64_t PageCount() const noexcept override { return store_.PageCount(); }
  Expected<void> Extend(uint64_t pages) override { return store_.Extend(pages); }
  Expected<void> Truncate(uint64_t pages) override { return store_.Truncate(pages); }
  IoLimits Limits() const noexcept override { return store_.Limits(); }
  std::string_view name() const noexcept override { return store_.name(); }

 private:
  PageStore& store_;
  const RedoLog& log_;
  size_t* const violations_;
};

// A pool over a store and a log, and the file in it.
struct Engine {
  Engine(PageStore& store, RedoLog& log, size_t* violations, std::shared_ptr<PageStore> images)
      : pages(*PagePool::Create({.page_bytes = kPageBytes, .max_pages = 64})) {
    BufferPoolOptions options;
    options.pages = pages.get();
    options.frames = 16;
    options.wal_gate = &log;
    options.has_evictor = false;
    options.write_batch_pages = 4;
    options.frame_wait = std::chrono::milliseconds(1);
    options.double_write = std::move(images);
    pool = *TestedPool::Create(options);
    AttachOptions attach;
    attach.store = std::make_unique<GatedStore>(store, log, violations);
    attach.codec = std::make_unique<ChecksumPageCodec>();
    attach.pages_max = kPages;
    attach.id = 3;
    attached = pool->Attach(std::move(attach));
  }

  PageId Page(uint64_t page) const { return {3, page}; }

  std::unique_ptr<PagePool> pages;
  std::unique_ptr<TestedPool> pool;
  Expected<FileId> attached;
};

std::byte* SlotOf(std::byte* page, size_t slot) {
  // Spread over the page, so that sectors of two versions differ.
  return page + PageHeader::kBytes + slot * 120;
}
uint64_t ValueOf(const std::byte* page, size_t slot) {
  uint64_t value;
  std::memcpy(&value, SlotOf(const_cast<std::byte*>(page), slot), sizeof(value));
  return value;
}
void Apply(const Change& change, Lsn lsn, ExclusivePage& page) {
  std::memcpy(SlotOf(page.data(), change.slot), &change.value, sizeof(change.value));
  page.MarkDirty(lsn);
}

// Every page there, with zeros in its slots.
void Format(MemoryPageStore& store) {
  const ChecksumPageCodec codec;
  std::vector<std::byte> bytes(kPageBytes);
  for (uint64_t page = 0; page < kPages; ++page) {
    std::fill(bytes.begin(), bytes.end(), std::byte{0});
    codec.Seal(bytes, {3, page}, 0);
    PageWrite write = {.page = page, .bytes = bytes.data()};
    store.Write({&write, 1});
    ASSERT_EQ(write.error_number, 0);
  }
}

std::unique_ptr<MemoryPageStore> NewStore(uint64_t pages) {
  return *MemoryPageStore::Create(
      {.page_bytes = kPageBytes, .pages = pages, .capacity_pages = std::max<uint64_t>(pages, 64)});
}

// Changes slots at random, flushes and makes checkpoints now and then, until `steps` are made or a
// call fails. Returns what the last checkpoint said.
Lsn RunSteps(Engine& engine, RedoLog& log, int steps, std::mt19937_64& random) {
  Lsn redo = 0;
  for (int step = 0; step < steps; ++step) {
    const Change change = {random() % kPages, random() % kSlots, random() | 1};
    auto page = engine.pool->FixExclusive(engine.Page(change.page));
    if (!page) return redo;
    Apply(change, log.Append(change), *page);
    page->Release();
    if (random() % 8 == 0) (void)log.FlushTo(log.end());
    if (random() % 16 == 0 && !engine.pool->Flush(log.Flushed())) return redo;
    if (random() % 100 == 0) {
      const auto done = engine.pool->Checkpoint();
      if (!done) return redo;
      redo = *done;
    }
  }
  return redo;
}

class BufferPoolCrashTest : public ::testing::Test {
 protected:
  // What each slot has after the log's first `end` changes.
  static std::map<std::pair<uint64_t, size_t>, uint64_t> ModelOf(const RedoLog& log) {
    std::map<std::pair<uint64_t, size_t>, uint64_t> model;
    for (Lsn lsn = 1; lsn <= log.end(); ++lsn) {
      model[{log.At(lsn).page, log.At(lsn).slot}] = log.At(lsn).value;
    }
    return model;
  }

  // Redoes from `redo` on, or, for a page that is not right, from the log's begin. Returns how many
  // pages were not right.
  static size_t Recover(Engine& engine, const RedoLog& log, Lsn redo) {
    size_t wrong = 0;
    for (uint64_t number = 0; number < kPages; ++number) {
      Lsn from = redo;
      auto page = engine.pool->FixExclusive(engine.Page(number));
      if (!page) {
        EXPECT_EQ(page.error().code, ErrorCode::kCorrupt) << page.error().message;
        ++wrong;
        from = 0;
        auto reserved = engine.pool->Reserve(1);
        page = engine.pool->CreatePage(engine.Page(number), *reserved, 0);
        EXPECT_TRUE(page) << page.error().message;
        if (!page) return wrong;
      }
      for (Lsn lsn = from + 1; lsn <= log.end(); ++lsn) {
        if (log.At(lsn).page == number && lsn > page->lsn()) Apply(log.At(lsn), lsn, *page);
      }
    }
    return wrong;
  }

  static void ExpectEqual(Engine& engine, const RedoLog& log) {
    auto model = ModelOf(log);
    for (uint64_t number = 0; number < kPages; ++number) {
      auto page = engine.pool->FixShared(engine.Page(number));
      ASSERT_TRUE(page) << page.error().message;
      for (size_t slot = 0; slot < kSlots; ++slot) {
        const std::pair at(number, slot);
        ASSERT_EQ(ValueOf(page->data(), slot), model[at]) << "page " << number << ", slot " << slot;
      }
    }
  }

  void CutPowerAtEveryChange(bool keeps_images) {
    const uint64_t seed = RandomTestSeed();
    SCOPED_TRACE(HowToReplay(seed));
    const int steps = 1000;
    size_t violations = 0;
    size_t torn = 0;
    // What is written when is hardly the translation's affair: fewer for the second one.
    const uint64_t stride = (kCheckedBuild ? 7 : 1) * (kIsHashPool ? 5 : 1);
    uint64_t cut = 1;
    for (bool is_cut = true; is_cut; cut += stride) {
      SCOPED_TRACE("power cut at change " + std::to_string(cut));
      const auto disk = NewStore(kPages);
      ASSERT_NO_FATAL_FAILURE(Format(*disk));
      const auto image_disk = NewStore(0);
      FaultPageStore faults(*disk, {.seed = seed + cut});
      // Its power goes with the other's: before Reboot nothing of the last batch is lost of it.
      const std::shared_ptr<PageStore> images(keeps_images ? image_disk.get() : nullptr,
                                              [](PageStore*) {});
      RedoLog log;
      std::mt19937_64 random(seed);
      faults.CutPowerAt(cut);
      Lsn redo;
      {
        Engine engine(faults, log, &violations, images);
        ASSERT_TRUE(engine.attached) << engine.attached.error().message;
        redo = RunSteps(engine, log, steps, random);
        is_cut = faults.is_down();
      }
      if (!is_cut) faults.CutPower();
      log.CutPower();
      ASSERT_TRUE(faults.Reboot());
      Engine again(faults, log, &violations, images);
      ASSERT_TRUE(again.attached) << again.attached.error().message;
      const size_t wrong = Recover(again, log, redo);
      torn += wrong;
      if (keeps_images) {
        ASSERT_EQ(wrong, 0U);
      }
      ASSERT_NO_FATAL_FAILURE(ExpectEqual(again, log));
      ASSERT_TRUE(again.pool->Detach(3));
    }
    EXPECT_GT(cut, 100U);
    EXPECT_EQ(violations, 0U);
    if (!keeps_images) {
      EXPECT_GT(torn, 0U);
    }
  }
};

TEST_F(BufferPoolCrashTest, RecoveryRestoresEveryAcknowledgedChangeWhereverThePowerGoes) {
  CutPowerAtEveryChange(false);
}

TEST_F(BufferPoolCrashTest, WithImagesNoPageIsLeftTorn) { CutPowerAtEveryChange(true); }

TEST_F(BufferPoolCrashTest, TornAndMisdirectedWritesAreFoundWhenReadAndLostOnesByTheLog) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  size_t found = 0;
  size_t stale = 0;
  for (uint64_t round = 0; round < (kCheckedBuild || kIsHashPool ? 20U : 200U); ++round) {
    const auto disk = NewStore(kPages);
    ASSERT_NO_FATAL_FAILURE(Format(*disk));
    FaultPageStore faults(*disk, {.seed = seed + round, .keeps_unsynced = false});
    faults.InjectRandomly(PageFault::kTornWrite, 0.02);
    faults.InjectRandomly(PageFault::kMisdirectedWrite, 0.02);
    faults.InjectRandomly(PageFault::kLostWrite, 0.02);
    RedoLog log;
    size_t violations = 0;
    std::mt19937_64 random(seed + round);
    // What the log says that each page has.
    std::map<uint64_t, Lsn> last;
    {
      Engine engine(faults, log, &violations, nullptr);
      for (int step = 0; step < 300; ++step) {
        const Change change = {random() % kPages, random() % kSlots, random() | 1};
        auto page = engine.pool->FixExclusive(engine.Page(change.page));
        // Found when it was read again, as it is to be.
        if (!page) continue;
        Apply(change, log.Append(change), *page);
        last[change.page] = log.end();
      }
      ASSERT_TRUE(engine.pool->Flush());
    }
    faults.InjectNothing();
    const std::map<uint64_t, PageFault> damaged = faults.damaged();
    Engine engine(faults, log, &violations, nullptr);
    for (uint64_t number = 0; number < kPages; ++number) {
      const auto page = engine.pool->FixShared(engine.Page(number));
      if (!page) {
        EXPECT_EQ(page.error().code, ErrorCode::kCorrupt);
        EXPECT_TRUE(damaged.contains(number)) << page.error().message;
        ++found;
      } else if (damaged.contains(number)) {
        // The page that was there before: a right one, and too old a one.
        EXPECT_LT(page->lsn(), last[number]) << PageFaultName(damaged.at(number));
        EXPECT_NE(damaged.at(number), PageFault::kTornWrite);
        ++stale;
      } else {
        EXPECT_EQ(page->lsn(), last[number]);
      }
    }
    EXPECT_EQ(violations, 0U);
  }
  EXPECT_GT(found, 0U);
  EXPECT_GT(stale, 0U);
}

TEST_F(BufferPoolCrashTest, ErrorsOfTheStoreLoseNothing) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  const auto disk = NewStore(kPages);
  ASSERT_NO_FATAL_FAILURE(Format(*disk));
  FaultPageStore faults(*disk, {.seed = seed, .keeps_unsynced = false});
  faults.InjectRandomly(PageFault::kReadError, 0.05);
  faults.InjectRandomly(PageFault::kShortRead, 0.05);
  faults.InjectRandomly(PageFault::kWriteError, 0.05);
  faults.InjectRandomly(PageFault::kShortWrite, 0.05);
  RedoLog log;
  size_t violations = 0;
  std::mt19937_64 random(seed);
  Engine engine(faults, log, &violations, nullptr);
  size_t refused = 0;
  for (int step = 0; step < 5000; ++step) {
    const Change change = {random() % kPages, random() % kSlots, random() | 1};
    auto page = engine.pool->FixExclusive(engine.Page(change.page));
    if (!page) {
      ASSERT_NE(page.error().code, ErrorCode::kInvalidArgument) << page.error().message;
      ++refused;
      continue;
    }
    Apply(change, log.Append(change), *page);
  }
  EXPECT_GT(refused, 0U);
  faults.InjectNothing();
  // A page that was written in part is written again, whole, before anybody reads it.
  ASSERT_TRUE(engine.pool->Checkpoint());
  ASSERT_NO_FATAL_FAILURE(ExpectEqual(engine, log));
  EXPECT_EQ(violations, 0U);
}

}  // namespace
}  // namespace granary
