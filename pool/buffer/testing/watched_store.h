// WatchedStore: a page store that counts what reaches it, and the pages that are ahead of the log.
#ifndef GRANARY_POOL_BUFFER_TESTING_WATCHED_STORE_H_
#define GRANARY_POOL_BUFFER_TESTING_WATCHED_STORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "memory/error.h"
#include "pool/buffer/page_store.h"
#include "pool/buffer/page_types.h"
#include "pool/buffer/wal_gate.h"

namespace granary::buffer {

// What was seen, of all stores that it is given to.
struct StoreWatch {
  std::atomic<size_t> pages_read = 0;
  // Calls.
  std::atomic<size_t> writes = 0;
  // Pages that were written before the log was durable up to their LSN.
  std::atomic<size_t> violations = 0;
};

class WatchedStore final : public PageStore {
 public:
  // Each page has its LSN `lsn_offset` bytes behind its begin. `log` and `watch` outlive the store,
  // and so does `store`.
  WatchedStore(PageStore& store, const WalGate& log, size_t lsn_offset, StoreWatch& watch)
      : PageStore(store.page_bytes()),
        store_(store),
        log_(log),
        lsn_offset_(lsn_offset),
        watch_(watch) {}
  WatchedStore(std::unique_ptr<PageStore> store, const WalGate& log, size_t lsn_offset,
               StoreWatch& watch)
      : WatchedStore(*store, log, lsn_offset, watch) {
    owned_ = std::move(store);
  }

  void Read(std::span<PageRead> pages) noexcept override {
    watch_.pages_read += pages.size();
    store_.Read(pages);
  }
  void Write(std::span<PageWrite> pages) noexcept override {
    for (const PageWrite& page : pages) {
      Lsn lsn;
      std::memcpy(&lsn, page.bytes + lsn_offset_, sizeof(lsn));
      if (lsn > log_.Flushed()) ++watch_.violations;
    }
    ++watch_.writes;
    store_.Write(pages);
  }
  Expected<void> Sync() override { return store_.Sync(); }
  uint64_t PageCount() const noexcept override { return store_.PageCount(); }
  Expected<void> Extend(uint64_t pages) override { return store_.Extend(pages); }
  Expected<void> Truncate(uint64_t pages) override { return store_.Truncate(pages); }
  IoLimits Limits() const noexcept override { return store_.Limits(); }
  std::string_view name() const noexcept override { return store_.name(); }

 private:
  std::unique_ptr<PageStore> owned_;
  PageStore& store_;
  const WalGate& log_;
  const size_t lsn_offset_;
  StoreWatch& watch_;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_TESTING_WATCHED_STORE_H_
