#include "pool/buffer/uring_page_store.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "pool/buffer/page_batch.h"
#include "pool/buffer/page_read_stream.h"
#include "pool/buffer/page_ring.h"
#include "pool/buffer/ring_calls.h"

namespace granary {

namespace {

// The number of the calling thread, in the order in which they come here: threads that do I/O at
// the same time begin to look for a ring at different ones.
size_t NumberOfThread() noexcept {
  static std::atomic<size_t> next = 0;
  thread_local const size_t number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

std::string LockedMemoryLimit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return "not known";
  if (limit.rlim_cur == RLIM_INFINITY) return "unlimited";
  return std::to_string(limit.rlim_cur) + " bytes";
}

}  // namespace

Expected<void> UringOptions::Check() const {
  if (queue_depth != 0 && queue_depth <= kQueueDepthMax && rings <= kRingsMax) return {};
  return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                              .message = std::to_string(rings) + " rings of " +
                                         std::to_string(queue_depth) + " requests; at most " +
                                         std::to_string(kRingsMax) + " of 1 to " +
                                         std::to_string(kQueueDepthMax) + " are possible",
                              .where = "UringOptions::Check"});
}

Expected<std::unique_ptr<UringPageStore>> UringPageStore::Create(const PageFileOptions& file,
                                                                 const UringOptions& options) {
  if (auto checked = options.Check(); !checked) return tl::unexpected(std::move(checked.error()));
  auto opened = PageFile::Open(file);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  return Create(*opened, options);
}

Expected<std::unique_ptr<UringPageStore>> UringPageStore::Create(std::unique_ptr<PageFile>& file,
                                                                 const UringOptions& options) {
  if (auto checked = options.Check(); !checked) return tl::unexpected(std::move(checked.error()));
  const unsigned processors = std::clamp(std::thread::hardware_concurrency(), 1U, 16U);
  const unsigned count = options.rings != 0 ? options.rings : processors;
  RingCalls& calls = options.ring_calls != nullptr ? *options.ring_calls : RingCalls::Real();
  Rings rings;
  for (unsigned i = 0; i < count; ++i) {
    auto ring = PageRing::Make(*file, options.queue_depth, calls);
    // One is enough to go on.
    if (!ring && rings.empty()) return tl::unexpected(std::move(ring.error()));
    if (!ring) break;
    rings.push_back(std::move(*ring));
  }
  return std::unique_ptr<UringPageStore>(
      new UringPageStore(std::move(file), std::move(rings), options.queue_depth));
}

UringPageStore::UringPageStore(std::unique_ptr<PageFile> file, Rings rings,
                               unsigned queue_depth) noexcept
    : PageStore(file->page_bytes()),
      file_(std::move(file)),
      rings_(std::move(rings)),
      queue_depth_(queue_depth) {}

UringPageStore::~UringPageStore() = default;

IoLimits UringPageStore::Limits() const noexcept {
  IoLimits limits = file_->limits();
  limits.batch_pages_max = queue_depth_ * PageRing::kRunPagesMax;
  return limits;
}

void UringPageStore::Read(std::span<PageRead> pages) noexcept { Transfer(pages); }

void UringPageStore::ReadEach(PageReads& reads) noexcept {
  PageReadStream stream(*file_, reads);
  TransferByRing(stream);
}

void UringPageStore::Write(std::span<PageWrite> pages) noexcept { Transfer(pages); }

template <class Page>
void UringPageStore::Transfer(std::span<Page> pages) noexcept {
  // A batch of one run, which most are: what a miss reads.
  PageBatch<Page> batch(*file_, pages);
  const std::span<Page> run = batch.NextRun(PageFile::kRunPagesMax);
  if (run.empty()) return;
  if (batch.is_at_end() && run.size() <= PageRing::kRunPagesMax) return file_->Transfer(run);
  batch.PutBack(run);
  TransferByRing(batch);
}

template <class Batch>
void UringPageStore::TransferByRing(Batch& batch) noexcept {
  const size_t first = NumberOfThread() % rings_.size();
  std::unique_lock<std::mutex> lock;
  size_t chosen = first;
  for (size_t i = 0; i < rings_.size() && !lock.owns_lock(); ++i) {
    chosen = (first + i) % rings_.size();
    lock = std::unique_lock(rings_[chosen]->mutex(), std::try_to_lock);
    if (lock.owns_lock() && rings_[chosen]->is_broken()) lock.unlock();
  }
  if (!lock.owns_lock()) {
    chosen = first;
    lock = std::unique_lock(rings_[chosen]->mutex());
  }
  rings_[chosen]->Run(batch);
  lock.unlock();
  // What a broken ring has left.
  for (auto rest = batch.NextRun(PageFile::kRunPagesMax); !rest.empty();
       rest = batch.NextRun(PageFile::kRunPagesMax)) {
    file_->Transfer(rest);
    batch.Done(rest);
  }
}

void UringPageStore::Unregister() noexcept {
  for (const auto& ring : rings_) {
    const std::lock_guard lock(ring->mutex());
    (void)ring->Register({});
  }
}

std::string UringPageStore::RegisterMemory(std::span<std::byte> memory) {
  for (const auto& ring : rings_) {
    int error_number = 0;
    {
      const std::lock_guard lock(ring->mutex());
      error_number = ring->Register(memory);
    }
    if (error_number == 0) continue;
    Unregister();
    std::string why =
        file_->path() + ": " + std::to_string(memory.size()) +
        " bytes of memory are not registered with io_uring: " + std::strerror(error_number);
    if (error_number == ENOMEM) {
      why += "; " + std::to_string(rings_.size()) +
             " rings lock it, and the limit on locked memory" + " (RLIMIT_MEMLOCK) is " +
             LockedMemoryLimit();
    }
    return why;
  }
  return {};
}

uint64_t UringPageStore::requests() const noexcept {
  uint64_t sum = 0;
  for (const auto& ring : rings_) sum += ring->requests();
  return sum;
}

uint64_t UringPageStore::fixed_requests() const noexcept {
  uint64_t sum = 0;
  for (const auto& ring : rings_) sum += ring->fixed_requests();
  return sum;
}

}  // namespace granary
