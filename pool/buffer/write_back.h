// WriteBack: brings dirty pages of a buffer pool to their stores. Internal to pool/buffer.
//
// A page is copied under a shared latch, which is let go at once: it stays in use while it is
// written. What is in the copy goes to the store sealed, sorted by page, neighbours together, after
// the log is durable up to the last change in the batch. Then the page is called clean if it has
// not been changed since the copy; otherwise it is as dirty as its later changes make it.
//
// One batch is written at a time, and beside it a few single pages, by those who need their frames
// and would wait for all of the batch otherwise. No page is written twice at once: an older copy
// never comes after a newer one.
//
// Threading. Any thread. Whoever writes may wait for the log, for the batch of another, and for the
// stores, and for no latch.
//
// Sources: copying out under a latch, the asynchronous write buffer of LeanStore (V. Leis et al.,
// ICDE 2018); the page's LSN against the log's, ARIES (C. Mohan et al., TODS 1992).
#ifndef GRANARY_POOL_BUFFER_WRITE_BACK_H_
#define GRANARY_POOL_BUFFER_WRITE_BACK_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "memory/error.h"
#include "memory/system_memory.h"
#include "pool/buffer/double_write.h"
#include "pool/buffer/page_types.h"
#include "pool/buffer/pages_in_flight.h"
#include "pool/buffer/pool_parts.h"
#include "pool/buffer/wal_gate.h"

namespace granary::buffer {

class WriteBack {
  // Single pages that are written beside the batch, at most.
  static constexpr size_t kSingles = 4;

 public:
  // `gate` and `double_write` may be null, and outlive it. kOutOfMemory.
  static Expected<std::unique_ptr<WriteBack>> Create(PoolParts& parts, size_t batch_pages,
                                                     WalGate* gate, DoubleWrite* double_write);

  size_t batch_pages() const noexcept { return batch_pages_; }
  // A batch is being written.
  bool is_busy() const noexcept { return is_busy_.load(std::memory_order_relaxed); }

  // Writes those of `frames`, at most batch_pages(), that are dirty, that nobody has exclusively,
  // and that are not being written already; returns how many it wrote, and appends them to
  // `written`, which has room, if that is not null. What was not written is dirty still. The first
  // error, if there was one: of the log, and then nothing was written, or of a page.
  Expected<size_t> Write(std::span<const FrameIndex> frames,
                         std::vector<FrameIndex>* written = nullptr);

  // The log is durable up to the frame's last change, as far as it is known: to write it does not
  // wait for that.
  bool IsInLog(FrameIndex frame) const noexcept {
    return gate_ == nullptr ||
           parts_.frames[frame].lsn.load(std::memory_order_relaxed) <= gate_->Flushed();
  }

  // Returns when nothing is being written; until its end nobody begins.
  class [[nodiscard]] Pause {
   public:
    explicit Pause(WriteBack& its) : lock_(its.batch_.mutex) {
      for (size_t i = 0; i < kSingles; ++i) singles_[i] = std::unique_lock(its.singles_[i].mutex);
    }

   private:
    std::unique_lock<std::mutex> lock_;
    std::array<std::unique_lock<std::mutex>, kSingles> singles_;
  };

  uint64_t written_pages() const noexcept { return written_.load(std::memory_order_relaxed); }
  uint64_t batches() const noexcept { return batches_.load(std::memory_order_relaxed); }
  uint64_t errors() const noexcept { return errors_.load(std::memory_order_relaxed); }
  uint64_t log_waits() const noexcept { return log_waits_.load(std::memory_order_relaxed); }

 private:
  struct Copy {
    PageKey key;
    FrameIndex frame;
    std::byte* bytes;
    Lsn lsn;
    uint32_t changes;
  };

  // What is written together.
  struct Batch {
    std::mutex mutex;
    std::byte* memory = nullptr;
    std::vector<Copy> copies;
    std::vector<PageWrite> writes;
  };

  WriteBack(PoolParts& parts, SystemMemory memory, size_t batch_pages, WalGate* gate,
            DoubleWrite* double_write);

  void Prepare(Batch& batch, std::byte* memory, size_t pages);
  // With its lock, for so many pages.
  Batch& Take(size_t pages, std::unique_lock<std::mutex>& lock) noexcept;
  Expected<size_t> WriteLocked(Batch& batch, std::span<const FrameIndex> frames,
                               std::vector<FrameIndex>* written);
  // In flight, if so.
  bool CopyOut(FrameIndex frame, std::byte* to, Copy* copy) noexcept;
  Expected<void> AwaitLog(Lsn lsn);
  // To their files.
  Expected<size_t> WriteCopies(Batch& batch, std::vector<FrameIndex>* written_frames);
  void NoteWritten(const Copy& copy) noexcept;

  PoolParts& parts_;
  const size_t batch_pages_;
  WalGate* const gate_;
  DoubleWrite* const double_write_;

  const SystemMemory memory_;
  Batch batch_;
  std::atomic<bool> is_busy_ = false;
  std::array<Batch, kSingles> singles_;
  std::atomic<size_t> next_single_ = 0;
  PagesInFlight in_flight_;

  std::atomic<uint64_t> written_ = 0;
  std::atomic<uint64_t> batches_ = 0;
  std::atomic<uint64_t> errors_ = 0;
  std::atomic<uint64_t> log_waits_ = 0;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_WRITE_BACK_H_
