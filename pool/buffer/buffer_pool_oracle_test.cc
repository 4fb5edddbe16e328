// Everything that one thread may do with a pool, in any order, against a model that is a map: what
// is in a page is what was written to it, errors come where they have to and change nothing, and
// what the stores have in the end is what the model has.
//
// GRANARY_TEST_OPERATIONS is how many operations each case makes.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/page_codec.h"
#include "pool/buffer/page_scope.h"
#include "pool/buffer/testing/test_log.h"
#include "pool/buffer/testing/versioned_content.h"
#include "pool/buffer/testing/watched_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr size_t kPageBytes = 512;
constexpr size_t kWords = kPageBytes / sizeof(uint64_t);
constexpr size_t kFramesMin = 12;
constexpr size_t kFramesMax = 48;
constexpr size_t kHeldMax = 5;
constexpr size_t kReservedMax = 3;
constexpr size_t kRingFrames = 5;
constexpr size_t kFiles = 2;
constexpr std::array<uint64_t, kFiles> kPagesMax = {220, 1500};

size_t Operations() {
  const char* const given = std::getenv("GRANARY_TEST_OPERATIONS");
  if (given != nullptr) return std::strtoull(given, nullptr, 10);
  return kCheckedBuild ? 12'500 : 125'000;
}

struct Case {
  EvictionKind eviction;
  bool has_evictor;
};

// The pool beside its model.
class Oracle {
 public:
  Oracle(const Case& tried, uint64_t seed) : tried_(tried), random_(seed) {
    for (size_t i = 0; i < kFiles; ++i) {
      files_[i].store = *MemoryPageStore::Create(
          {.page_bytes = kPageBytes, .capacity_pages = kPagesMax[i], .name = "file"});
    }
    Open();
  }

  void Step() {
    if (log_.fails ? random_() % 20 == 0 : random_() % 3000 == 0) log_.fails = !log_.fails;
    const uint64_t what = random_() % 1000;
    if (what < 250) {
      FixShared();
    } else if (what < 450) {
      Change();
    } else if (what < 600) {
      Peek();
    } else if (what < 680) {
      UpgradeOrLetGo();
    } else if (what < 780) {
      Allocate();
    } else if (what < 820) {
      Discard();
    } else if (what < 880) {
      Create();
    } else if (what < 920) {
      Prefetch();
    } else if (what < 950) {
      Scan();
    } else if (what < 960) {
      AskForNothing();
    } else if (what < 972) {
      Resize();
    } else if (what < 980) {
      (void)pool_->TrimEntries();
    } else if (what < 986) {
      Flush();
    } else if (what < 990) {
      Checkpoint();
    } else if (what < 998) {
      DetachOrAttach();
    } else {
      CheckFigures();
    }
  }

  // Everything is written, and there again in another pool.
  void End() {
    log_.fails = false;
    held_.clear();
    for (size_t i = 0; i < kFiles; ++i) {
      if (!files_[i].is_attached) AttachFile(i);
    }
    ASSERT_TRUE(pool_->Flush());
    for (size_t i = 0; i < kFiles; ++i) CheckStore(i);
    pool_.reset();
    ASSERT_EQ(pages_->Stats().live_pages, 0U);
    Open();
    for (const auto& [id, content] : model_) {
      auto page = pool_->FixShared(id);
      ASSERT_TRUE(page) << page.error().message;
      CheckContent(id, page->data(), true);
    }
    pool_.reset();
    ASSERT_EQ(watch_.violations, 0U);
  }

 private:
  struct FileModel {
    // Also while the file is not attached.
    std::unique_ptr<MemoryPageStore> store;
    // Pages that Allocate has given out.
    uint64_t pages = 0;
    bool is_attached = false;
  };
  // One of the two.
  struct Held {
    PageId id;
    SharedPage shared;
    ExclusivePage exclusive;
  };

  void Open() {
    pages_ = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = kFramesMax});
    BufferPoolOptions options = {.pages = pages_.get(), .frames = 24};
    options.eviction = tried_.eviction;
    options.has_evictor = tried_.has_evictor;
    options.evictor_low_frames = tried_.has_evictor ? 3 : 0;
    options.evictor_high_frames = tried_.has_evictor ? 6 : 0;
    options.wal_gate = &log_;
    options.write_batch_pages = 7;
    options.scan_ring_frames = kRingFrames;
    options.frame_wait = std::chrono::milliseconds(tried_.has_evictor ? 100 : 1);
    pool_ = *BufferPool::Create(options);
    for (size_t i = 0; i < kFiles; ++i) {
      files_[i].is_attached = false;
      AttachFile(i);
    }
  }

  void AttachFile(size_t i) {
    AttachOptions options;
    options.store = std::make_unique<buffer::WatchedStore>(
        *files_[i].store, log_, VersionedContent::kLsnWord * sizeof(Lsn), watch_);
    if (i == 0) options.codec = std::make_unique<ChecksumPageCodec>();
    options.pages_max = kPagesMax[i];
    options.id = static_cast<FileId>(i);
    const auto attached = pool_->Attach(std::move(options));
    ASSERT_TRUE(attached) << attached.error().message;
    ASSERT_EQ(*attached, i);
    files_[i].is_attached = true;
    // Pages behind the last one that was ever written are given out again.
    files_[i].pages = files_[i].store->PageCount();
  }

  // --- Contents ---------------------------------------------------------------------------------

  void CheckWord(PageId id, const std::byte* page, size_t word) {
    ASSERT_TRUE(model_.at(id).HasWord(id, page, word)) << id.file << " " << id.page << " " << word;
  }
  void CheckContent(PageId id, const std::byte* page, bool is_whole) {
    if (!is_whole) {
      CheckWord(id, page, VersionedContent::kFirstWord);
      CheckWord(id, page, VersionedContent::kLsnWord);
      CheckWord(id, page,
                VersionedContent::kFirstWord + random_() % (kWords - VersionedContent::kFirstWord));
      return;
    }
    for (size_t word = VersionedContent::kFirstWord; word < kWords; ++word)
      CheckWord(id, page, word);
  }
  // What the store has, of pages that are not dirty.
  void CheckStore(size_t i) {
    const ChecksumPageCodec codec;
    std::array<std::byte, kPageBytes> bytes;
    for (auto at = model_.lower_bound({static_cast<FileId>(i), 0});
         at != model_.end() && at->first.file == i; ++at) {
      PageRead read = {.page = at->first.page, .bytes = bytes.data()};
      files_[i].store->Read({&read, 1});
      ASSERT_EQ(read.error_number, 0);
      CheckContent(at->first, bytes.data(), true);
      if (i != 0) continue;
      ASSERT_EQ(codec.Verify(bytes, at->first), PageVerdict::kOk);
      ASSERT_EQ(codec.LsnOf(bytes), at->second.lsn);
    }
  }

  void ChangeContent(ExclusivePage& page) {
    const PageId id = page.id();
    VersionedContent& content = model_[id];
    content.lsn = log_.Next();
    content.version = ++versions_;
    content.WriteTo(id, page.data(), kWords);
    page.MarkDirty(content.lsn);
    if (random_() % 4 == 0) (void)log_.FlushTo(content.lsn);
  }

  // --- Who has what -----------------------------------------------------------------------------

  size_t HoldersOf(PageId id) const {
    return static_cast<size_t>(
        std::count_if(held_.begin(), held_.end(), [&](const Held& held) { return held.id == id; }));
  }
  bool IsExclusive(PageId id) const {
    return std::any_of(held_.begin(), held_.end(),
                       [&](const Held& held) { return held.id == id && held.exclusive.is_held(); });
  }
  bool AnyExclusive() const {
    return std::any_of(held_.begin(), held_.end(),
                       [](const Held& held) { return held.exclusive.is_held(); });
  }
  bool AnyOf(size_t file) const {
    return std::any_of(held_.begin(), held_.end(),
                       [&](const Held& held) { return held.id.file == file; });
  }
  void Keep(Held held) {
    if (held_.size() >= kHeldMax)
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(random_() % kHeldMax));
    if (random_() % 4 == 0) held_.push_back(std::move(held));
  }

  // A page of the model, in a file that is attached; few of them mostly.
  std::optional<PageId> Pick() {
    for (int tries = 0; tries < 10; ++tries) {
      const auto file = static_cast<FileId>(random_() % kFiles);
      if (!files_[file].is_attached || files_[file].pages == 0) continue;
      const uint64_t pages = files_[file].pages;
      const PageId id = {file,
                         random_() % (random_() % 3 == 0 ? pages : std::min<uint64_t>(pages, 20))};
      if (model_.contains(id)) return id;
    }
    return std::nullopt;
  }
  std::optional<PageId> PickFree() {
    const auto id = Pick();
    return id && HoldersOf(*id) == 0 ? id : std::nullopt;
  }

  // An error where the log cannot be written: nothing else may be one.
  void CheckRefusal(const Error& error) {
    ASSERT_TRUE(log_.fails) << error.message;
    ASSERT_TRUE(error.code == ErrorCode::kIo || error.code == ErrorCode::kOutOfMemory)
        << error.message;
  }

  // --- Operations -------------------------------------------------------------------------------

  Access SomeAccess() {
    const uint64_t what = random_() % 10;
    return what < 7    ? Access::kNormal
           : what == 7 ? Access::kScan
           : what == 8 ? Access::kOnce
                       : Access::kWillNeed;
  }

  void FixShared() {
    const auto id = Pick();
    if (!id || IsExclusive(*id)) return;
    auto page = pool_->FixShared(*id, SomeAccess());
    if (!page) return CheckRefusal(page.error());
    ASSERT_EQ(page->id(), *id);
    CheckContent(*id, page->data(), random_() % 16 == 0);
    ASSERT_TRUE(id->file != 0 || page->lsn() == model_.at(*id).lsn);
    Keep({.id = *id, .shared = *std::move(page), .exclusive = {}});
  }

  void Change() {
    const auto id = PickFree();
    if (!id) return;
    auto page = pool_->FixExclusive(*id, SomeAccess());
    if (!page) return CheckRefusal(page.error());
    ASSERT_EQ(page->id(), *id);
    CheckContent(*id, page->data(), false);
    if (random_() % 8 != 0) ChangeContent(*page);
    if (random_() % 8 == 0) {
      SharedPage shared = page->Downgrade();
      CheckContent(*id, shared.data(), true);
      Keep({.id = *id, .shared = std::move(shared), .exclusive = {}});
    } else {
      Keep({.id = *id, .shared = {}, .exclusive = *std::move(page)});
    }
  }

  void Peek() {
    const auto id = Pick();
    if (!id) return;
    if (IsExclusive(*id)) {
      ASSERT_FALSE(pool_->TryPeek(*id));
      return;
    }
    auto page = pool_->Peek(*id, SomeAccess());
    if (!page) return CheckRefusal(page.error());
    std::array<std::byte, kPageBytes> copy;
    const bool is_one = page->ReadConsistent(0, copy);
    // Nobody else is there to change it.
    ASSERT_TRUE(is_one || tried_.has_evictor);
    if (is_one) CheckContent(*id, copy.data(), false);
    const uint64_t what = random_() % 4;
    if (what == 0) {
      auto latched = page->TryUpgrade();
      ASSERT_TRUE(HoldersOf(*id) == 0 || !latched);
      ASSERT_TRUE(latched || HoldersOf(*id) != 0 || tried_.has_evictor);
      if (!latched) return;
      CheckContent(*id, latched->data(), false);
      ChangeContent(*latched);
      ASSERT_TRUE(buffer::kOptimisticReadsPin || !page->Validate());
      Keep({.id = *id, .shared = {}, .exclusive = *std::move(latched)});
    } else if (what == 1) {
      auto latched = page->TryLatchShared();
      ASSERT_TRUE(latched || tried_.has_evictor);
      if (!latched) return;
      CheckContent(*id, latched->data(), false);
      Keep({.id = *id, .shared = *std::move(latched), .exclusive = {}});
    }
  }

  // Of something that is held.
  void UpgradeOrLetGo() {
    if (held_.empty()) return;
    const size_t i = random_() % held_.size();
    Held& held = held_[i];
    if (held.shared.is_held()) {
      CheckContent(held.id, held.shared.data(), false);
      if (random_() % 2 == 0) {
        auto upgraded = held.shared.TryUpgrade();
        const bool is_alone = HoldersOf(held.id) == 1;
        ASSERT_TRUE(is_alone || !upgraded);
        ASSERT_TRUE(upgraded || !is_alone || tried_.has_evictor);
        ASSERT_NE(held.shared.is_held(), upgraded.has_value());
        if (!upgraded) return;
        held.exclusive = *std::move(upgraded);
        ChangeContent(held.exclusive);
        return;
      }
    } else {
      CheckContent(held.id, held.exclusive.data(), false);
      if (random_() % 2 == 0) return ChangeContent(held.exclusive);
    }
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  void CheckNew(ExclusivePage& page, PageId id) {
    ASSERT_EQ(page.id(), id);
    ASSERT_TRUE(std::all_of(page.bytes().begin(), page.bytes().end(),
                            [](std::byte byte) { return byte == std::byte{0}; }));
    ChangeContent(page);
  }

  void Allocate() {
    const auto file = static_cast<FileId>(random_() % kFiles);
    auto reserved = pool_->Reserve(1 + random_() % kReservedMax);
    if (!reserved) return CheckRefusal(reserved.error());
    const size_t frames = reserved->pages();
    FileModel& its = files_[file];
    auto page = pool_->Allocate(file, *reserved, log_.Flushed() + 1);
    if (!its.is_attached || its.pages == kPagesMax[file]) {
      ASSERT_FALSE(page);
      ASSERT_EQ(page.error().code,
                its.is_attached ? ErrorCode::kOutOfMemory : ErrorCode::kInvalidArgument);
      ASSERT_EQ(reserved->pages(), frames);
      return;
    }
    ASSERT_TRUE(page) << page.error().message;
    ASSERT_EQ(reserved->pages(), frames - 1);
    const PageId id = {file, its.pages++};
    CheckNew(*page, id);
    Keep({.id = id, .shared = {}, .exclusive = *std::move(page)});
  }

  void Discard() {
    const auto id = PickFree();
    if (!id) return;
    auto page = pool_->FixExclusive(*id);
    if (!page) return CheckRefusal(page.error());
    CheckContent(*id, page->data(), false);
    pool_->Discard(*std::move(page));
    ASSERT_FALSE(pool_->TryPeek(*id));
    model_.erase(*id);
    discarded_.insert(*id);
  }

  void Create() {
    if (discarded_.empty()) return;
    auto at = discarded_.lower_bound({static_cast<FileId>(random_() % kFiles), random_() % 200});
    if (at == discarded_.end()) at = discarded_.begin();
    const PageId id = *at;
    if (!files_[id.file].is_attached) return;
    auto reserved = pool_->Reserve(1);
    if (!reserved) return CheckRefusal(reserved.error());
    auto page = pool_->CreatePage(id, *reserved, log_.Flushed() + 1);
    ASSERT_TRUE(page) << page.error().message;
    files_[id.file].pages = std::max(files_[id.file].pages, id.page + 1);
    discarded_.erase(at);
    CheckNew(*page, id);
    Keep({.id = id, .shared = {}, .exclusive = *std::move(page)});
  }

  // Also pages that are not, and those that were discarded: they are not looked at before they are
  // made again.
  void Prefetch() {
    std::vector<PageId> ids(random_() % 20);
    for (PageId& id : ids) {
      id = {static_cast<FileId>(random_() % (kFiles + 1)), random_() % 240};
    }
    ASSERT_LE(pool_->Prefetch(ids, SomeAccess()), ids.size());
  }

  void Scan() {
    const auto file = static_cast<FileId>(random_() % kFiles);
    if (!files_[file].is_attached) return;
    PageScope scope(*pool_, {.name = "oracle", .pins_max = 2, .scan_ring_frames = 4});
    uint64_t page = random_() % (files_[file].pages + 1);
    const uint64_t last = std::min(files_[file].pages, page + random_() % 60);
    for (; page < last; ++page) {
      const PageId id = {file, page};
      if (!model_.contains(id) || IsExclusive(id)) continue;
      auto fixed = scope.FixShared(id, Access::kScan);
      if (!fixed) return CheckRefusal(fixed.error());
      ASSERT_EQ(scope.pins(), 1U);
      CheckContent(id, (*fixed)->data(), false);
    }
    ASSERT_EQ(scope.pins(), 0U);
  }

  void AskForNothing() {
    const auto none = pool_->FixShared({kFiles, 0});
    ASSERT_FALSE(none);
    ASSERT_EQ(none.error().code, ErrorCode::kInvalidArgument);
    for (FileId file = 0; file < kFiles; ++file) {
      const auto beyond = pool_->FixExclusive({file, kPagesMax[file]});
      ASSERT_FALSE(beyond);
      ASSERT_EQ(beyond.error().code, ErrorCode::kInvalidArgument);
      const uint64_t stored = files_[file].store->PageCount();
      if (!files_[file].is_attached || stored > files_[file].pages ||
          files_[file].pages == kPagesMax[file]) {
        continue;
      }
      // Given out by nobody, and so in no file.
      const auto absent = pool_->FixShared({file, files_[file].pages});
      ASSERT_FALSE(absent);
      ASSERT_TRUE(absent.error().code == ErrorCode::kIo || log_.fails) << absent.error().message;
    }
  }

  void Resize() {
    const size_t before = pool_->Stats().frames;
    const size_t frames = kFramesMin + random_() % (kFramesMax - kFramesMin + 1);
    // Dirty pages that somebody has exclusively cannot go, and there are as many as may be left.
    const auto resized = pool_->Resize(frames);
    const BufferPoolStats stats = pool_->Stats();
    ASSERT_EQ(stats.frames, resized ? frames : before);
    if (!resized) return CheckRefusal(resized.error());
    ASSERT_LE(stats.used_frames, frames);
  }

  void Flush() {
    if (AnyExclusive()) return;
    const auto flushed = pool_->Flush();
    if (!flushed) return CheckRefusal(flushed.error());
    ASSERT_EQ(pool_->Stats().dirty_pages, 0U);
    if (random_() % 16 != 0) return;
    for (size_t i = 0; i < kFiles; ++i) {
      if (files_[i].is_attached) CheckStore(i);
    }
  }

  void Checkpoint() {
    if (AnyExclusive()) return;
    const Lsn durable = log_.Flushed();
    const auto first = pool_->Checkpoint();
    if (!first) return CheckRefusal(first.error());
    ASSERT_EQ(*first, durable);
    ASSERT_EQ(pool_->Stats().dirty_pages, 0U);
  }

  void DetachOrAttach() {
    if (!files_[1].is_attached) return AttachFile(1);
    if (AnyExclusive()) return;
    const auto detached = pool_->Detach(1);
    if (AnyOf(1)) {
      ASSERT_FALSE(detached);
      ASSERT_TRUE(detached.error().code == ErrorCode::kBusy || log_.fails);
      return;
    }
    if (!detached) return CheckRefusal(detached.error());
    files_[1].is_attached = false;
    if (random_() % 8 == 0) CheckStore(1);
    const auto gone = pool_->FixShared({1, 0});
    ASSERT_FALSE(gone);
    ASSERT_EQ(gone.error().code, ErrorCode::kInvalidArgument);
    ASSERT_FALSE(pool_->TryPeek({1, 0}));
  }

  void CheckFigures() {
    const BufferPoolStats stats = pool_->Stats();
    const std::vector<PageId> resident = pool_->ResidentPages();
    std::set<PageId> once(resident.begin(), resident.end());
    if (!tried_.has_evictor) {
      ASSERT_EQ(once.size(), resident.size());
      // One that was discarded while it was in a ring is freed when the ring comes to it.
      ASSERT_GE(stats.frames - stats.free_frames, resident.size());
      ASSERT_LE(stats.frames - stats.free_frames, resident.size() + kRingFrames);
      for (const Held& held : held_) ASSERT_TRUE(once.contains(held.id));
    }
    ASSERT_LE(stats.dirty_pages, stats.used_frames);
    ASSERT_EQ(watch_.violations, 0U);
  }

  const Case tried_;
  std::mt19937_64 random_;
  TestLog log_;
  buffer::StoreWatch watch_;
  std::array<FileModel, kFiles> files_;
  std::map<PageId, VersionedContent> model_;
  std::set<PageId> discarded_;
  uint64_t versions_ = 0;
  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<BufferPool> pool_;
  std::vector<Held> held_;
};

class BufferPoolOracleTest : public ::testing::TestWithParam<Case> {};

TEST_P(BufferPoolOracleTest, DoesWhatAMapDoes) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  Oracle oracle(GetParam(), seed);
  const size_t operations = Operations();
  for (size_t i = 0; i < operations; ++i) {
    oracle.Step();
    ASSERT_FALSE(HasFailure()) << "in operation " << i;
  }
  oracle.End();
}

INSTANTIATE_TEST_SUITE_P(
    Policies, BufferPoolOracleTest,
    ::testing::Values(Case{EvictionKind::kS3Fifo, false}, Case{EvictionKind::kS3Fifo, true},
                      Case{EvictionKind::kTwoQ, false}, Case{EvictionKind::kTwoQ, true},
                      Case{EvictionKind::kClock, false}, Case{EvictionKind::kClock, true},
                      Case{EvictionKind::kLru, false}, Case{EvictionKind::kLru, true}),
    [](const auto& tried) {
      return std::string(EvictionKindName(tried.param.eviction)) +
             (tried.param.has_evictor ? "_with_evictor" : "");
    });

}  // namespace
}  // namespace granary
