// What a buffer pool is made from, and what it says about itself.
#ifndef GRANARY_POOL_BUFFER_BUFFER_POOL_OPTIONS_H_
#define GRANARY_POOL_BUFFER_BUFFER_POOL_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "memory/error.h"
#include "memory/sanitizer.h"
#include "pool/buffer/eviction.h"
#include "pool/buffer/page_codec.h"
#include "pool/buffer/page_store.h"
#include "pool/buffer/page_types.h"

namespace granary {

class MemoryBudget;
class PagePool;
class WalGate;

struct BufferPoolOptions {
  static constexpr size_t kFramesMin = 1;
  static constexpr size_t kBatchPagesMax = 1024;
  static constexpr size_t kPrefetchThreadsMax = 64;

  // Where frames come from, and what size pages have; outlives the pool.
  PagePool* pages = nullptr;
  // How many the pool may have. At least kFramesMin, at most what `pages` has reserved. Each thread
  // that latches a path through a tree needs as many as the path is long.
  size_t frames = 0;
  EvictionKind eviction = EvictionKind::kS3Fifo;
  // At most kFilesMax, of a HashBufferPool one less. 40 bytes each, there 16.
  uint32_t files_max = 1024;
  // Before a dirty page is written, the log is flushed up to its last change; outlives the pool.
  // nullptr where there is no log.
  WalGate* wal_gate = nullptr;
  // Charged for the entries of pages; the pool gives clean pages up when the budget asks it to. The
  // frames are charged to the budget of `pages`. Outlives the pool; nullptr for none.
  MemoryBudget* budget = nullptr;
  // When it is asked among others who can release memory, the lowest first: MemoryBudget's. Pages
  // that are clean come back with a read, what a query spills does not so soon.
  int reclaim_priority = -1;
  // Where images of pages are kept while they are written, so that torn ones can be repaired: a
  // store for this alone, and files with ChecksumPageCodec. nullptr for none; see double_write.h.
  std::shared_ptr<PageStore> double_write = nullptr;

  // Whether a thread writes dirty pages that are in the way, and keeps frames free as long as there
  // are such. Clean ones are evicted by who needs a frame.
  bool has_evictor = true;
  // It begins when so few frames are free, and ends when so many are; 0 for 1 and 2 % of `frames`.
  size_t evictor_low_frames = 0;
  size_t evictor_high_frames = 0;
  // Pages that are written in one batch; 1 to kBatchPagesMax. So many pages of memory are the
  // pool's besides the frames.
  size_t write_batch_pages = 64;
  // Threads that bring the pages of StartPrefetch, from the first one that is asked for on; up to
  // kPrefetchThreadsMax. One keeps a device busy whose reads take it a few microseconds each; 0:
  // none are taken.
  size_t prefetch_threads = 1;
  // Of scans that have no PageScope.
  size_t scan_ring_frames = 64;
  // How long a fix waits when no frame can be had, before it fails.
  std::chrono::milliseconds frame_wait{200};
  // Whether each pin is remembered with its place in the source; see pin_ledger.h.
  bool record_pins = kCheckedBuild;

  // Says which of these contradict each other.
  Expected<void> Validate() const;
};

struct AttachOptions {
  // Whose pages have the pool's size.
  std::unique_ptr<PageStore> store = nullptr;
  // How pages are sealed and verified; PlainPageCodec if it is null.
  std::unique_ptr<PageCodec> codec = nullptr;
  // At least what the store has. A BufferPool sets address space aside for the entries of so many
  // pages, 8 bytes each; a HashBufferPool none.
  uint64_t pages_max = uint64_t{1} << 32;
  // What the file is called in PageIds; pages that are sealed have it in them. The lowest that is
  // free if it is not given.
  std::optional<FileId> id = std::nullopt;
};

// Of one moment each; together of none if the pool is in use.
struct BufferPoolStats {
  size_t frames = 0;
  // Of these, the pool has from its PagePool; and free ones, those that it may still have included.
  size_t used_frames = 0;
  size_t free_frames = 0;
  size_t dirty_pages = 0;
  // Entries of pages.
  size_t entry_bytes = 0;
  // Pages that were brought because somebody fixed them, and ahead of need.
  uint64_t misses = 0;
  uint64_t prefetched = 0;
  uint64_t evictions = 0;
  // Batches that were evicted by who needed a frame, and frames that a scan reused.
  uint64_t foreground_batches = 0;
  uint64_t ring_reuses = 0;
  uint64_t written_pages = 0;
  uint64_t write_batches = 0;
  // Times that a batch had to wait for the log.
  uint64_t log_waits = 0;
  uint64_t read_errors = 0;
  uint64_t write_errors = 0;
  // Times that a thread waited for a latch, or for a page that another one was bringing.
  uint64_t waits = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_BUFFER_POOL_OPTIONS_H_
