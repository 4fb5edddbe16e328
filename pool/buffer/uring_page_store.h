// UringPageStore: the pages of a file, by io_uring: many at a time.
//
// Choose it, through OpenPageStore, for devices that do many things at once: a batch keeps
// `queue_depth` requests in flight until its last one, and what comes back is followed by the next
// at once. It gains most with `direct`, where PosixPageStore waits for each run in turn.
//
// A run is as PosixPageStore has it, of up to 64 pages a request. A batch of one run is one preadv
// or pwritev: there is nothing to do at the same time, and no ring is cheaper.
//
// Rings. A batch has one for itself from its first request to its last. There are as many as the
// machine has processors, unless told otherwise: that many batches go on in parallel, and one more
// waits.
//
// Registered memory. After RegisterMemory the kernel knows the frames, and need not look them up
// and pin them for each request: runs that lie side by side in that memory gain from it. The
// memory is pinned in each ring, and counts against the limit on locked memory (RLIMIT_MEMLOCK)
// each time; if that is too small, or the kernel refuses, the store goes on without. The kernel
// brings all of it. While it is registered none of its pages may be given back to the system: see
// PageStore::RegisterMemory.
//
// What goes wrong in a request is tried again by preadv and pwritev, which tell which page it is
// of. A ring that the kernel takes no more requests from is used no more.
//
// Costs. One system call for each time that something comes back; 1 KiB of memory for each request
// that may be in flight, in each ring.
//
// Fork. A child closes it, or leaves it alone.
#ifndef GRANARY_POOL_BUFFER_URING_PAGE_STORE_H_
#define GRANARY_POOL_BUFFER_URING_PAGE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/error.h"
#include "pool/buffer/page_file.h"
#include "pool/buffer/page_store.h"

namespace granary {

class PageRing;
class RingCalls;

struct UringOptions {
  static constexpr unsigned kQueueDepthMax = 512;
  static constexpr unsigned kRingsMax = 64;

  // Requests in flight for each batch: 1 to 512.
  unsigned queue_depth = 64;
  // 1 to 64; 0 for one a processor, up to 16.
  unsigned rings = 0;
  // Null for the real ones; a test passes its own, which outlive the store.
  RingCalls* ring_calls = nullptr;

  // kInvalidArgument if they are not within these bounds.
  Expected<void> Check() const;
};

class UringPageStore final : public PageStore {
 public:
  // Opens the file. As PosixPageStore::Create, and kUnsupported with the reason where there is no
  // io_uring; OpenPageStore goes on without.
  static Expected<std::unique_ptr<UringPageStore>> Create(const PageFileOptions& file,
                                                          const UringOptions& options = {});

  // Over a file that is open, not null; takes it only if that succeeds.
  static Expected<std::unique_ptr<UringPageStore>> Create(std::unique_ptr<PageFile>& file,
                                                          const UringOptions& options);
  ~UringPageStore() override;

  void Read(std::span<PageRead> pages) noexcept override;
  void ReadEach(PageReads& reads) noexcept override;
  void Write(std::span<PageWrite> pages) noexcept override;
  Expected<void> Sync() override { return file_->Sync(); }
  uint64_t PageCount() const noexcept override { return file_->PageCount(); }
  Expected<void> Extend(uint64_t pages) override { return file_->Extend(pages); }
  Expected<void> Truncate(uint64_t pages) override { return file_->Truncate(pages); }
  IoLimits Limits() const noexcept override;
  // In all rings or in none. Waits for the batches that are under way.
  std::string RegisterMemory(std::span<std::byte> memory) override;
  std::string_view name() const noexcept override { return file_->path(); }

  unsigned queue_depth() const noexcept { return queue_depth_; }
  size_t ring_count() const noexcept { return rings_.size(); }
  // Requests that went through rings so far, and how many of them were of registered memory.
  uint64_t requests() const noexcept;
  uint64_t fixed_requests() const noexcept;

 private:
  using Rings = std::vector<std::unique_ptr<PageRing>>;

  UringPageStore(std::unique_ptr<PageFile> file, Rings rings, unsigned queue_depth) noexcept;

  template <class Page>
  void Transfer(std::span<Page> pages) noexcept;
  // `Batch` is a PageBatch or a PageReadStream.
  template <class Batch>
  void TransferByRing(Batch& batch) noexcept;
  void Unregister() noexcept;

  const std::unique_ptr<PageFile> file_;
  // They use the file: destroyed before it.
  const Rings rings_;
  const unsigned queue_depth_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_URING_PAGE_STORE_H_
