// WriteBack: brings dirty pages of a buffer pool to their stores. Internal to pool/buffer.
//
// A page is copied under a shared latch, which is let go at once: it stays in use while it is
// written. What is in the copy goes to the store sealed, sorted by page, neighbours together, after
// the log is durable up to the last change in the batch. Then the page is called clean if it has
// not been changed since the copy; otherwise it is as dirty as its later changes make it.
//
// One batch is written at a time, so that an older copy never comes after a newer one.
//
// Threading. Any thread. Whoever writes may wait for the log, for the batch of another, and for the
// stores, and for no latch.
//
// Sources: copying out under a latch, the asynchronous write buffer of LeanStore (V. Leis et al.,
// ICDE 2018); the page's LSN against the log's, ARIES (C. Mohan et al., TODS 1992).
#ifndef GRANARY_POOL_BUFFER_WRITE_BACK_H_
#define GRANARY_POOL_BUFFER_WRITE_BACK_H_

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
#include "pool/buffer/pool_parts.h"
#include "pool/buffer/wal_gate.h"

namespace granary::buffer {

class WriteBack {
 public:
  // `gate` and `double_write` may be null, and outlive it. kOutOfMemory.
  static Expected<std::unique_ptr<WriteBack>> Create(PoolParts& parts, size_t batch_pages,
                                                     WalGate* gate, DoubleWrite* double_write);

  size_t batch_pages() const noexcept { return batch_pages_; }
  // Somebody is writing; who writes now waits for him.
  bool is_busy() const noexcept { return is_busy_.load(std::memory_order_relaxed); }

  // Writes those of `frames`, at most batch_pages(), that are dirty and that nobody has
  // exclusively; returns how many it wrote, and appends them to `written`, which has room, if that
  // is not null. What was not written is dirty still. The first error, if there was one: of the
  // log, and then nothing was written, or of a page.
  Expected<size_t> Write(std::span<const FrameIndex> frames,
                         std::vector<FrameIndex>* written = nullptr);

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

  WriteBack(PoolParts& parts, SystemMemory memory, size_t batch_pages, WalGate* gate,
            DoubleWrite* double_write);

  Expected<size_t> WriteLocked(std::span<const FrameIndex> frames,
                               std::vector<FrameIndex>* written);
  bool CopyOut(FrameIndex frame, std::byte* to, Copy* copy) noexcept;
  Expected<void> AwaitLog(Lsn lsn);
  // To their files.
  Expected<size_t> WriteCopies(std::vector<FrameIndex>* written_frames);
  void NoteWritten(const Copy& copy) noexcept;

  PoolParts& parts_;
  const size_t batch_pages_;
  WalGate* const gate_;
  DoubleWrite* const double_write_;

  // One batch at a time.
  std::mutex mutex_;
  std::atomic<bool> is_busy_ = false;
  const SystemMemory memory_;
  std::vector<Copy> copies_;
  std::vector<PageWrite> writes_;

  std::atomic<uint64_t> written_ = 0;
  std::atomic<uint64_t> batches_ = 0;
  std::atomic<uint64_t> errors_ = 0;
  std::atomic<uint64_t> log_waits_ = 0;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_WRITE_BACK_H_
