// A log that the pool waits for, a checkpoint, and recovery.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/page_codec.h"
#include "pool/page_pool.h"

namespace {

struct Record {
  granary::Lsn lsn = 0;
  granary::PageId page;
  bool is_new = false;
  uint64_t value = 0;
};

constexpr size_t kValueOffset = granary::PageHeader::kBytes;

}  // namespace

// [sample]
class Log final : public granary::WalGate {
 public:
  // The page is changed already, and latched by the caller.
  void Append(granary::ExclusivePage& page, bool is_new, uint64_t value) {
    const std::scoped_lock lock(mutex_);
    records_.push_back({records_.size() + 1, page.id(), is_new, value});
    // Within the lock: no flush gets past the record before the page is marked.
    page.MarkDirty(records_.back().lsn);
  }

  granary::Lsn Flushed() const noexcept override { return flushed_.load(); }
  granary::Expected<void> FlushTo(granary::Lsn lsn) override {
    const std::scoped_lock lock(mutex_);
    // A real one writes and syncs its buffer; the records of others go with it.
    flushed_ = records_.size();
    if (flushed_ >= lsn) return {};
    return tl::unexpected(granary::Error{.code = granary::ErrorCode::kIo,
                                         .message = "a page is ahead of the log",
                                         .where = "Log::FlushTo"});
  }

  // All that is durable, from `begin` on.
  std::vector<Record> Durable(granary::Lsn begin) const;

 private:
  mutable std::mutex mutex_;
  std::vector<Record> records_;
  std::atomic<granary::Lsn> flushed_ = 0;
};
// [/sample]

std::vector<Record> Log::Durable(granary::Lsn begin) const {
  const std::scoped_lock lock(mutex_);
  std::vector<Record> records;
  for (const Record& record : records_) {
    if (record.lsn >= begin && record.lsn <= flushed_) records.push_back(record);
  }
  return records;
}

// [sample]
// `begin` is what the last checkpoint returned.
granary::Expected<void> Redo(granary::BufferPool& pool, const Log& log, granary::Lsn begin) {
  for (const Record& record : log.Durable(begin)) {
    granary::ExclusivePage page;
    if (record.is_new) {
      // What the file has in its place does not matter: all that the page ever was is in the log.
      auto reserved = pool.Reserve(1);
      if (!reserved) return tl::unexpected(reserved.error());
      auto made = pool.CreatePage(record.page, *reserved, record.lsn);
      if (!made) return tl::unexpected(made.error());
      page = std::move(*made);
    } else {
      auto fixed = pool.FixExclusive(record.page);
      if (!fixed) return tl::unexpected(fixed.error());  // kCorrupt: from a backup, then.
      if (fixed->lsn() >= record.lsn) continue;          // The file had it already.
      page = std::move(*fixed);
    }
    std::memcpy(page.data() + kValueOffset, &record.value, sizeof(record.value));
    page.MarkDirty(record.lsn);
  }
  return {};
}
// [/sample]

namespace {

// What is left of a crash: the store that the pool wrote to, which outlives it.
class SharedStore final : public granary::PageStore {
 public:
  explicit SharedStore(std::shared_ptr<granary::PageStore> store)
      : PageStore(store->page_bytes()), store_(std::move(store)) {}
  void Read(std::span<granary::PageRead> pages) noexcept override { store_->Read(pages); }
  void Write(std::span<granary::PageWrite> pages) noexcept override { store_->Write(pages); }
  granary::Expected<void> Sync() override { return store_->Sync(); }
  uint64_t PageCount() const noexcept override { return store_->PageCount(); }
  granary::Expected<void> Extend(uint64_t pages) override { return store_->Extend(pages); }
  granary::Expected<void> Truncate(uint64_t pages) override { return store_->Truncate(pages); }
  granary::IoLimits Limits() const noexcept override { return store_->Limits(); }
  std::string_view name() const noexcept override { return store_->name(); }

 private:
  std::shared_ptr<granary::PageStore> store_;
};

struct Engine {
  std::unique_ptr<granary::PagePool> pages;
  std::unique_ptr<granary::BufferPool> pool;
};

bool Open(Engine& engine, Log& log, const std::shared_ptr<granary::PageStore>& store) {
  auto pages = granary::PagePool::Create({.page_bytes = 4096, .max_pages = 8});
  if (!pages) return false;
  engine.pages = std::move(*pages);
  auto pool =
      granary::BufferPool::Create({.pages = engine.pages.get(), .frames = 8, .wal_gate = &log});
  if (!pool) return false;
  engine.pool = std::move(*pool);
  const auto file = engine.pool->Attach({.store = std::make_unique<SharedStore>(store),
                                         .codec = std::make_unique<granary::ChecksumPageCodec>(),
                                         .pages_max = 100,
                                         .id = 3});
  return file.has_value();
}

}  // namespace

int main() {
  auto made = granary::MemoryPageStore::Create({.capacity_pages = 100});
  if (!made) return 1;
  const std::shared_ptr<granary::PageStore> store = std::move(*made);
  Log log;
  std::vector<uint64_t> values(30);
  granary::Lsn begin = 0;
  {
    Engine engine;
    if (!Open(engine, log, store)) return 2;
    for (uint64_t i = 0; i < 200; ++i) {
      const uint64_t number = i < 30 ? i : i * 7 % 30;
      granary::ExclusivePage page;
      if (i < 30) {
        auto reserved = engine.pool->Reserve(1);
        if (!reserved) return 3;
        auto allocated = engine.pool->Allocate(3, *reserved, log.Flushed() + 1);
        if (!allocated) return 4;
        page = std::move(*allocated);
      } else {
        auto fixed = engine.pool->FixExclusive({3, number});
        if (!fixed) return 5;
        page = std::move(*fixed);
      }
      std::memcpy(page.data() + kValueOffset, &i, sizeof(i));
      log.Append(page, i < 30, i);
      values[number] = i;
      if (i == 120) {
        page.Release();
        const auto checkpoint = engine.pool->Checkpoint();
        if (!checkpoint) return 6;
        begin = *checkpoint;
      }
    }
    if (!log.FlushTo(0)) return 7;
    // The pool's end writes nothing.
  }
  Engine engine;
  if (!Open(engine, log, store)) return 8;
  if (begin == 0 || !Redo(*engine.pool, log, begin)) return 9;
  for (uint64_t number = 0; number < 30; ++number) {
    auto page = engine.pool->FixShared({3, number});
    uint64_t value;
    if (!page) return 10;
    std::memcpy(&value, page->data() + kValueOffset, sizeof(value));
    if (value != values[number]) return 11;
  }
  return 0;
}
