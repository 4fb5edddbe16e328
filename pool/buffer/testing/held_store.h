// HeldStore: a page store whose reads and writes a test sees, and holds up.
#ifndef GRANARY_POOL_BUFFER_TESTING_HELD_STORE_H_
#define GRANARY_POOL_BUFFER_TESTING_HELD_STORE_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include "memory/error.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/page_store.h"

namespace granary {

// What a test sees of its stores, and how it holds them up. It outlives them.
class Traffic {
 public:
  // The next write waits until LetGo, and those behind it do not.
  void HoldNextWrite() {
    const std::scoped_lock lock(mutex_);
    holds_next_write_ = true;
    lets_write_go_ = false;
  }
  // From now on reads wait, until LetGo.
  void HoldReads() {
    const std::scoped_lock lock(mutex_);
    holds_reads_ = true;
  }
  void LetGo() {
    {
      const std::scoped_lock lock(mutex_);
      lets_write_go_ = true;
      holds_reads_ = false;
    }
    changed_.notify_all();
  }
  // False after a while in which nobody is held up.
  bool AwaitHeld() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return held_ != 0; });
  }

  // How often the page was read.
  int ReadsOf(uint64_t page) {
    const std::scoped_lock lock(mutex_);
    return reads_of_[page];
  }
  // Writes that are under way.
  int writers() {
    const std::scoped_lock lock(mutex_);
    return writers_;
  }
  // Pages that were written while they were being written.
  std::atomic<int> doubles = 0;
  std::atomic<int> syncs = 0;
  // A store had its end while it wrote.
  std::atomic<bool> went_under_a_writer = false;
  std::function<void()> on_sync;

 private:
  friend class HeldStore;

  void BeginRead(std::span<const PageRead> pages) {
    std::unique_lock lock(mutex_);
    for (const PageRead& page : pages) ++reads_of_[page.page];
    AwaitGo(lock, [&] { return !holds_reads_; });
  }
  void BeginWrite(std::span<const PageWrite> pages) {
    std::unique_lock lock(mutex_);
    for (const PageWrite& page : pages) {
      if (!written_now_.insert(page.page).second) ++doubles;
    }
    ++writers_;
    if (std::exchange(holds_next_write_, false)) AwaitGo(lock, [&] { return lets_write_go_; });
  }
  void EndWrite(std::span<const PageWrite> pages) {
    const std::scoped_lock lock(mutex_);
    for (const PageWrite& page : pages) written_now_.erase(page.page);
    --writers_;
  }
  template <class MayGo>
  void AwaitGo(std::unique_lock<std::mutex>& lock, const MayGo& may_go) {
    ++held_;
    changed_.notify_all();
    changed_.wait(lock, may_go);
    --held_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, int> reads_of_;
  std::set<uint64_t> written_now_;
  int writers_ = 0;
  int held_ = 0;
  bool holds_reads_ = false;
  bool holds_next_write_ = false;
  bool lets_write_go_ = false;
};

class HeldStore final : public PageStore {
 public:
  // kDiscard in options.contents: each page begins with its number, whatever is written.
  HeldStore(Traffic& traffic, const MemoryPageStoreOptions& options)
      : PageStore(options.page_bytes),
        traffic_(traffic),
        store_(*MemoryPageStore::Create(options)) {}
  ~HeldStore() override {
    if (traffic_.writers() != 0) traffic_.went_under_a_writer = true;
  }

  void Read(std::span<PageRead> pages) noexcept override {
    traffic_.BeginRead(pages);
    store_->Read(pages);
  }
  void Write(std::span<PageWrite> pages) noexcept override {
    traffic_.BeginWrite(pages);
    store_->Write(pages);
    traffic_.EndWrite(pages);
  }
  Expected<void> Sync() override {
    ++traffic_.syncs;
    if (traffic_.on_sync) traffic_.on_sync();
    return store_->Sync();
  }
  uint64_t PageCount() const noexcept override { return store_->PageCount(); }
  Expected<void> Extend(uint64_t pages) override { return store_->Extend(pages); }
  Expected<void> Truncate(uint64_t pages) override { return store_->Truncate(pages); }
  IoLimits Limits() const noexcept override { return store_->Limits(); }
  std::string_view name() const noexcept override { return store_->name(); }

 private:
  Traffic& traffic_;
  const std::unique_ptr<MemoryPageStore> store_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_TESTING_HELD_STORE_H_
