#include "pool/buffer/write_back.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "pool/buffer/file_set.h"
#include "pool/buffer/page_codec.h"
#include "pool/buffer/page_store.h"

namespace granary::buffer {

namespace {

// What stores with O_DIRECT ask for at most.
constexpr size_t kAlignment = 4096;

Error WriteError(PageId id, const BufferedFile& file, int error_number) {
  return {.code = ErrorCode::kIo,
          .message = "page " + std::to_string(id.page) + " of " + std::string(file.store->name()) +
                     " could not be written: " + std::strerror(error_number),
          .where = "BufferPool::WriteBack",
          .system_errno = error_number};
}

}  // namespace

WriteBack::WriteBack(PoolParts& parts, SystemMemory memory, size_t batch_pages, WalGate* gate,
                     DoubleWrite* double_write)
    : parts_(parts),
      batch_pages_(batch_pages),
      gate_(gate),
      double_write_(double_write),
      memory_(std::move(memory)),
      in_flight_(batch_pages + kSingles) {
  Prepare(batch_, memory_.data(), batch_pages);
  for (size_t i = 0; i < kSingles; ++i) {
    Prepare(singles_[i], memory_.data() + (batch_pages + i) * parts.frames.page_bytes(), 1);
  }
}

void WriteBack::Prepare(Batch& batch, std::byte* memory, size_t pages) {
  batch.memory = memory;
  batch.copies.reserve(pages);
  batch.writes.reserve(pages);
}

Expected<std::unique_ptr<WriteBack>> WriteBack::Create(PoolParts& parts, size_t batch_pages,
                                                       WalGate* gate, DoubleWrite* double_write) {
  const size_t pages = batch_pages + kSingles;
  auto memory = SystemMemory::Reserve({.reserve_bytes = pages * parts.frames.page_bytes(),
                                       .alignment = kAlignment,
                                       .commit = CommitPolicy::kOnTouch});
  if (!memory) return tl::unexpected(std::move(memory.error()));
  return std::unique_ptr<WriteBack>(
      new WriteBack(parts, std::move(*memory), batch_pages, gate, double_write));
}

Expected<size_t> WriteBack::Write(std::span<const FrameIndex> frames,
                                  std::vector<FrameIndex>* written) {
  std::unique_lock<std::mutex> lock;
  Batch& batch = Take(frames.size(), lock);
  const bool is_batch = &batch == &batch_;
  if (is_batch) is_busy_.store(true, std::memory_order_relaxed);
  auto count = WriteLocked(batch, frames, written);
  for (const Copy& copy : batch.copies) in_flight_.Remove(copy.key);
  if (is_batch) is_busy_.store(false, std::memory_order_relaxed);
  return count;
}

// There is one place for images, and what is in it is needed until the pages are durable.
WriteBack::Batch& WriteBack::Take(size_t pages, std::unique_lock<std::mutex>& lock) noexcept {
  lock = std::unique_lock(batch_.mutex, std::defer_lock);
  if (pages > 1 || double_write_ != nullptr) {
    lock.lock();
    return batch_;
  }
  if (lock.try_lock()) return batch_;
  for (Batch& single : singles_) {
    lock = std::unique_lock(single.mutex, std::try_to_lock);
    if (lock.owns_lock()) return single;
  }
  Batch& single = singles_[next_single_.fetch_add(1, std::memory_order_relaxed) % kSingles];
  lock = std::unique_lock(single.mutex);
  return single;
}

Expected<size_t> WriteBack::WriteLocked(Batch& batch, std::span<const FrameIndex> frames,
                                        std::vector<FrameIndex>* written) {
  std::vector<Copy>& copies = batch.copies;
  copies.clear();
  Lsn last = 0;
  for (const FrameIndex frame : frames) {
    Copy copy;
    std::byte* const to = batch.memory + copies.size() * parts_.frames.page_bytes();
    if (!CopyOut(frame, to, &copy)) continue;
    copies.push_back(copy);
    last = std::max(last, copy.lsn);
  }
  if (copies.empty()) return 0;
  if (auto durable = AwaitLog(last); !durable) {
    errors_.fetch_add(1, std::memory_order_relaxed);
    return tl::unexpected(std::move(durable.error()));
  }
  std::sort(copies.begin(), copies.end(),
            [](const Copy& a, const Copy& b) { return a.key < b.key; });
  return WriteCopies(batch, written);
}

// Pins the page where it can be had at once: whoever has it exclusively may be waiting for us.
bool WriteBack::CopyOut(FrameIndex frame, std::byte* to, Copy* copy) noexcept {
  Frame& its = parts_.frames[frame];
  const PageKey key = its.key.load(std::memory_order_relaxed);
  PageEntry* const entry = parts_.TryPin(key, frame);
  if (entry == nullptr) return false;
  const bool is_copied = its.is_dirty.load(std::memory_order_relaxed) && in_flight_.Add(key);
  if (is_copied) {
    std::memcpy(to, parts_.frames.At(frame), parts_.frames.page_bytes());
    *copy = {.key = key,
             .frame = frame,
             .bytes = to,
             .lsn = its.lsn.load(std::memory_order_relaxed),
             .changes = its.changes.load(std::memory_order_relaxed)};
  }
  parts_.Unpin(*entry);
  return is_copied;
}

Expected<void> WriteBack::AwaitLog(Lsn lsn) {
  if (gate_ == nullptr || gate_->Flushed() >= lsn) return {};
  log_waits_.fetch_add(1, std::memory_order_relaxed);
  if (auto flushed = gate_->FlushTo(lsn); !flushed) return flushed;
  if (gate_->Flushed() >= lsn) return {};
  return tl::unexpected(Error{.code = ErrorCode::kIo,
                              .message = "the log is durable up to " +
                                         std::to_string(gate_->Flushed()) +
                                         " after it was to be flushed to " + std::to_string(lsn),
                              .where = "BufferPool::WriteBack"});
}

Expected<size_t> WriteBack::WriteCopies(Batch& batch, std::vector<FrameIndex>* written_frames) {
  const std::vector<Copy>& copies = batch.copies;
  std::vector<PageWrite>& writes = batch.writes;
  batches_.fetch_add(1, std::memory_order_relaxed);
  const size_t page_bytes = parts_.frames.page_bytes();
  for (const Copy& copy : copies) {
    const BufferedFile& file = *parts_.files.Find(PageOf(copy.key).file);
    file.codec->Seal({copy.bytes, page_bytes}, PageOf(copy.key), copy.lsn);
  }
  if (double_write_ != nullptr) {
    writes.clear();
    for (const Copy& copy : copies) writes.push_back({.bytes = copy.bytes});
    if (auto kept = double_write_->Keep(writes, parts_.files); !kept) {
      errors_.fetch_add(1, std::memory_order_relaxed);
      return tl::unexpected(std::move(kept.error()));
    }
  }
  size_t written = 0;
  std::optional<Error> first_error;
  for (size_t first = 0; first < copies.size();) {
    const FileId file_id = PageOf(copies[first].key).file;
    BufferedFile& file = *parts_.files.Find(file_id);
    writes.clear();
    for (size_t i = first; i < copies.size() && PageOf(copies[i].key).file == file_id; ++i) {
      writes.push_back({.page = PageOf(copies[i].key).page, .bytes = copies[i].bytes});
    }
    file.store->Write(writes);
    // Behind it: a sync that began while it was under way does not count.
    file.is_unsynced.store(true, std::memory_order_seq_cst);
    for (size_t i = 0; i < writes.size(); ++i) {
      const Copy& copy = copies[first + i];
      if (writes[i].error_number == 0) {
        ++written;
        if (written_frames != nullptr) written_frames->push_back(copy.frame);
        NoteWritten(copy);
        continue;
      }
      errors_.fetch_add(1, std::memory_order_relaxed);
      if (!first_error) first_error = WriteError(PageOf(copy.key), file, writes[i].error_number);
    }
    first += writes.size();
  }
  // The next batch takes the place of what was kept of this one.
  if (double_write_ != nullptr && written != 0) {
    if (auto synced = double_write_->Release(parts_.files); !synced && !first_error) {
      first_error = std::move(synced.error());
    }
  }
  written_.fetch_add(written, std::memory_order_relaxed);
  if (first_error) return tl::unexpected(std::move(*first_error));
  return written;
}

// While it is pinned nobody changes it. One that cannot be pinned stays dirty, and is written once
// more.
void WriteBack::NoteWritten(const Copy& copy) noexcept {
  PageEntry* const entry = parts_.TryPin(copy.key, copy.frame);
  if (entry == nullptr) return;
  Frame& its = parts_.frames[copy.frame];
  if (its.is_dirty.load(std::memory_order_relaxed)) {
    if (its.changes.load(std::memory_order_relaxed) == copy.changes) {
      parts_.frames.MarkClean(copy.frame);
    } else if (its.first_lsn.load(std::memory_order_relaxed) <= copy.lsn) {
      // What the store has not got came behind the copy.
      its.first_lsn.store(copy.lsn + 1, std::memory_order_relaxed);
    }
  }
  parts_.Unpin(*entry);
}

}  // namespace granary::buffer
