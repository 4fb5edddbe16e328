// PageRing: one io_uring, and the requests that it has in flight. Internal to pool/buffer;
// UringPageStore has one or more.
//
// Threading. One thread at a time: whoever calls anything but Make and the counters has mutex().
#ifndef GRANARY_POOL_BUFFER_PAGE_RING_H_
#define GRANARY_POOL_BUFFER_PAGE_RING_H_

#include <liburing.h>
#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "memory/error.h"
#include "pool/buffer/page_batch.h"
#include "pool/buffer/page_file.h"
#include "pool/buffer/page_read_stream.h"
#include "pool/buffer/page_store.h"
#include "pool/buffer/ring_calls.h"

namespace granary {

class PageRing {
 public:
  // The pages of one request: long runs are several, so that the device has something to choose
  // from.
  static constexpr size_t kRunPagesMax = 64;
  // What the kernel takes as one registered buffer.
  static constexpr size_t kBufferBytesMax = size_t{1} << 30;

  // kUnsupported, with the reason: there is no io_uring. kOutOfMemory: none for a ring.
  static Expected<std::unique_ptr<PageRing>> Make(PageFile& file, unsigned queue_depth,
                                                  RingCalls& calls);
  PageRing(const PageRing&) = delete;
  PageRing& operator=(const PageRing&) = delete;
  ~PageRing();

  std::mutex& mutex() noexcept { return mutex_; }

  // Does what is left of the batch, with as many requests in flight all the time as there may be.
  void Run(PageBatch<PageRead>& batch) noexcept;
  void Run(PageBatch<PageWrite>& batch) noexcept;
  void Run(PageReadStream& reads) noexcept;

  // Registers this memory in place of the one before. Returns 0 or the errno; after an error no
  // memory is registered.
  int Register(std::span<std::byte> memory);

  // The kernel refused to take requests for a reason that does not pass; nothing more is done by
  // it.
  bool is_broken() const noexcept { return is_broken_; }

  // Requests that were made since it was, and how many of them of registered memory. Any thread.
  uint64_t requests() const noexcept { return requests_.load(std::memory_order_relaxed); }
  uint64_t fixed_requests() const noexcept {
    return fixed_requests_.load(std::memory_order_relaxed);
  }

 private:
  // A run that the kernel has.
  template <class Page>
  struct Request {
    std::span<Page> run;
    size_t done_bytes = 0;
    // Which of all that were queued it is: how one that was not submitted is known.
    uint64_t sequence = 0;
  };
  using Pieces = std::array<iovec, kRunPagesMax>;

  PageRing(PageFile& file, unsigned queue_depth, RingCalls& calls)
      : file_(file), queue_depth_(queue_depth), calls_(calls), pieces_(queue_depth) {}

  Expected<void> Init();
  template <class Batch>
  void RunBatch(Batch& batch) noexcept;
  template <class Page>
  void Queue(Request<Page>& request, unsigned slot) noexcept;
  template <class Page>
  bool Complete(Request<Page>& request, int result) noexcept;
  // Submits what is queued, and waits until so many are done; or breaks the ring.
  void SubmitAndWait(unsigned completions) noexcept;
  // The index of the registered buffer that has these bytes, or -1.
  int BufferOf(const std::byte* bytes, size_t count) const noexcept;

  PageFile& file_;
  const unsigned queue_depth_;
  RingCalls& calls_;
  std::mutex mutex_;
  io_uring ring_ = {};
  bool is_made_ = false;
  bool has_file_ = false;
  bool is_broken_ = false;
  unsigned refusals_ = 0;
  std::span<std::byte> registered_;
  uint64_t queued_ = 0;
  // Of each slot: the kernel may look at them until the request is done.
  std::vector<Pieces> pieces_;
  std::atomic<uint64_t> requests_ = 0;
  std::atomic<uint64_t> fixed_requests_ = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_PAGE_RING_H_
