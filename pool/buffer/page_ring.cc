#include "pool/buffer/page_ring.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "pool/buffer/run_pieces.h"

namespace granary {

namespace {

// What helps, and what a kernel may not have (EINVAL); the best first. COOP_TASKRUN (5.19): whoever
// waits for completions is in the kernel anyway, and need not be interrupted for each of them.
// SUBMIT_ALL (5.18): a request that is wrong does not keep those behind it from being taken.
// SINGLE_ISSUER and DEFER_TASKRUN would be better still, and want one thread for ever.
constexpr unsigned kSetupFlags[] = {
    IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
    IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_CLAMP,
};

// Requests past the system's cache that the device gets together: it begins with these while the
// next are made. Waiting until all that there is room for are made takes it 5 to 10 % more time.
constexpr unsigned kSubmitAtOnce = 4;

// How often in a row the kernel may say that it cannot take requests now.
constexpr unsigned kRefusalsMax = 1000;

// How long a thread sleeps between two looks for completions that it cannot wait for.
constexpr std::chrono::microseconds kLookAgain{100};

Error NoRing(const std::string& path, int system_errno) {
  std::string message = path + ": io_uring is not available: " + std::strerror(system_errno);
  if (system_errno == EPERM || system_errno == EACCES) {
    message += " (a seccomp filter, or kernel.io_uring_disabled)";
  }
  if (system_errno == ENOSYS) message += " (the kernel has none)";
  return {.code = system_errno == ENOMEM ? ErrorCode::kOutOfMemory : ErrorCode::kUnsupported,
          .message = std::move(message),
          .where = "UringPageStore::Create",
          .system_errno = system_errno};
}

}  // namespace

// --- The ring -----------------------------------------------------------------------------------

Expected<std::unique_ptr<PageRing>> PageRing::Make(PageFile& file, unsigned queue_depth,
                                                   RingCalls& calls) {
  std::unique_ptr<PageRing> ring(new PageRing(file, queue_depth, calls));
  if (auto made = ring->Init(); !made) return tl::unexpected(std::move(made.error()));
  return ring;
}

Expected<void> PageRing::Init() {
  int result = -EINVAL;
  for (const unsigned flags : kSetupFlags) {
    result = calls_.Init(queue_depth_, &ring_, flags);
    if (result != -EINVAL) break;
  }
  if (result < 0) return tl::unexpected(NoRing(file_.path(), -result));
  is_made_ = true;
  if (calls_.HasReadAndWrite(&ring_) <= 0) return tl::unexpected(NoRing(file_.path(), EOPNOTSUPP));
  // Saves the kernel from looking the descriptor up for each request; it can do without.
  has_file_ = calls_.RegisterFile(&ring_, file_.descriptor()) == 0;
  return {};
}

PageRing::~PageRing() {
  if (is_made_) calls_.Exit(&ring_);
}

int PageRing::Register(std::span<std::byte> memory) {
  if (!registered_.empty()) {
    // What it refuses is to give up what is not there.
    (void)calls_.UnregisterBuffers(&ring_);
    registered_ = {};
  }
  if (memory.empty() || is_broken_) return 0;
  std::vector<iovec> buffers;
  for (size_t offset = 0; offset < memory.size(); offset += kBufferBytesMax) {
    buffers.push_back({memory.data() + offset, std::min(kBufferBytesMax, memory.size() - offset)});
  }
  const int result =
      calls_.RegisterBuffers(&ring_, buffers.data(), static_cast<unsigned>(buffers.size()));
  if (result < 0) return -result;
  registered_ = memory;
  return 0;
}

int PageRing::BufferOf(const std::byte* bytes, size_t count) const noexcept {
  const auto begin = reinterpret_cast<uintptr_t>(bytes);
  const auto first = reinterpret_cast<uintptr_t>(registered_.data());
  if (begin < first || begin - first >= registered_.size()) return -1;
  const size_t offset = begin - first;
  if (count > registered_.size() - offset) return -1;
  const size_t buffer = offset / kBufferBytesMax;
  return (offset + count - 1) / kBufferBytesMax == buffer ? static_cast<int>(buffer) : -1;
}

// --- A batch ------------------------------------------------------------------------------------

void PageRing::Run(PageBatch<PageRead>& batch) noexcept { RunBatch(batch); }

void PageRing::Run(PageBatch<PageWrite>& batch) noexcept { RunBatch(batch); }

void PageRing::Run(PageReadStream& reads) noexcept { RunBatch(reads); }

template <class Batch>
void PageRing::RunBatch(Batch& batch) noexcept {
  using Page = typename Batch::Page;
  constexpr bool kTellsOfDone = std::is_same_v<Batch, PageReadStream>;
  constexpr unsigned kDepthMax = 512;
  Request<Page> requests[kDepthMax];
  uint16_t free_slots[kDepthMax];
  const unsigned depth = std::min(queue_depth_, kDepthMax);
  const bool is_direct = file_.limits().is_direct;
  unsigned free_count = 0;
  while (free_count < depth) {
    free_slots[free_count] = static_cast<uint16_t>(depth - 1 - free_count);
    ++free_count;
  }
  std::span<Page> done[kDepthMax];
  unsigned done_count = 0;
  const auto end = [&](unsigned slot) {
    done[done_count++] = requests[slot].run;
    free_slots[free_count++] = static_cast<uint16_t>(slot);
  };
  while (true) {
    // What came back has made room: the device always has as much to do as it may.
    while (free_count != 0 && !is_broken_) {
      const std::span<Page> run = batch.NextRun(kRunPagesMax);
      if (run.empty()) break;
      const unsigned slot = free_slots[--free_count];
      requests[slot].run = run;
      requests[slot].done_bytes = 0;
      Queue(requests[slot], slot);
      if (is_direct && ::io_uring_sq_ready(&ring_) >= kSubmitAtOnce) SubmitAndWait(0);
    }
    if (done_count != 0) {
      // The device has got its next requests before anybody looks at what it has brought.
      if (kTellsOfDone && ::io_uring_sq_ready(&ring_) != 0) SubmitAndWait(0);
      for (unsigned i = 0; i < done_count; ++i) batch.Done(done[i]);
      done_count = 0;
      // There may be more to do now.
      if (kTellsOfDone) continue;
    }
    if (free_count == depth) break;
    SubmitAndWait(1);
    io_uring_cqe* completion = nullptr;
    while (::io_uring_peek_cqe(&ring_, &completion) == 0) {
      const auto slot = static_cast<unsigned>(completion->user_data);
      const int result = completion->res;
      ::io_uring_cqe_seen(&ring_, completion);
      if (Complete(requests[slot], result)) {
        end(slot);
      } else if (!is_broken_) {
        Queue(requests[slot], slot);
      } else {
        file_.Transfer(requests[slot].run);
        end(slot);
      }
    }
    if (!is_broken_) continue;
    // What the kernel never took it does not do.
    const uint64_t taken = queued_ - ::io_uring_sq_ready(&ring_);
    for (unsigned slot = 0; slot < depth; ++slot) {
      const auto* const free_end = free_slots + free_count;
      if (std::find(static_cast<const uint16_t*>(free_slots), free_end, slot) != free_end) continue;
      if (requests[slot].sequence < taken) continue;
      file_.Transfer(requests[slot].run);
      end(slot);
    }
  }
}

template <class Page>
void PageRing::Queue(Request<Page>& request, unsigned slot) noexcept {
  constexpr bool kReads = std::is_same_v<Page, PageRead>;
  // There are as many entries as requests.
  io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
  iovec* const pieces = pieces_[slot].data();
  const int count = PiecesOf(request.run, file_.page_bytes(), request.done_bytes, pieces);
  const uint64_t offset = request.run[0].page * file_.page_bytes() + request.done_bytes;
  const int file = has_file_ ? 0 : file_.descriptor();
  if (count > 1) {
    if constexpr (kReads) {
      ::io_uring_prep_readv(entry, file, pieces, static_cast<unsigned>(count), offset);
    } else {
      ::io_uring_prep_writev(entry, file, pieces, static_cast<unsigned>(count), offset);
    }
  } else {
    void* const bytes = pieces[0].iov_base;
    const auto length = static_cast<unsigned>(pieces[0].iov_len);
    const int buffer = BufferOf(static_cast<const std::byte*>(bytes), length);
    if (buffer >= 0) fixed_requests_.fetch_add(1, std::memory_order_relaxed);
    if constexpr (kReads) {
      if (buffer >= 0) {
        ::io_uring_prep_read_fixed(entry, file, bytes, length, offset, buffer);
      } else {
        ::io_uring_prep_read(entry, file, bytes, length, offset);
      }
    } else {
      if (buffer >= 0) {
        ::io_uring_prep_write_fixed(entry, file, bytes, length, offset, buffer);
      } else {
        ::io_uring_prep_write(entry, file, bytes, length, offset);
      }
    }
  }
  if (has_file_) entry->flags |= IOSQE_FIXED_FILE;
  entry->user_data = slot;
  request.sequence = queued_++;
  requests_.fetch_add(1, std::memory_order_relaxed);
}

// Whether the run is done; otherwise it has a rest, which is to be queued.
template <class Page>
bool PageRing::Complete(Request<Page>& request, int result) noexcept {
  const size_t total = request.run.size() * file_.page_bytes();
  if (result > 0) {
    const size_t reached = request.done_bytes + static_cast<size_t>(result);
    if (reached == total) {
      for (Page& page : request.run) page.error_number = 0;
      if constexpr (std::is_same_v<Page, PageWrite>) {
        file_.RaiseCount(request.run.back().page + 1);
      }
      return true;
    }
    const size_t whole = file_.WholeUnits(reached);
    if (whole > request.done_bytes) {
      request.done_bytes = whole;
      return false;
    }
  }
  // An error, an interruption, or the end of the file: seldom, and the plain calls tell which page
  // it is of.
  file_.Transfer(request.run);
  return true;
}

void PageRing::SubmitAndWait(unsigned completions) noexcept {
  if (!is_broken_) {
    const int result = calls_.SubmitAndWait(&ring_, completions);
    if (result >= 0 || result == -EINTR) {
      refusals_ = 0;
      return;
    }
    // Out of memory for a moment, or completions have to be taken first: once more, up to a limit.
    const bool may_pass = result == -EAGAIN || result == -EBUSY;
    if (!may_pass || ++refusals_ == kRefusalsMax) {
      is_broken_ = true;
      return;
    }
  }
  // A broken ring may have requests in the kernel, whose memory is not ours before they are done,
  // and cannot be asked to wait for them. They are done all the same, on the next way out of any
  // call.
  std::this_thread::sleep_for(kLookAgain);
}

}  // namespace granary
