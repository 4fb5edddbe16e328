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
      memory_(std::move(memory)) {
  copies_.reserve(batch_pages);
  writes_.reserve(batch_pages);
}

Expected<std::unique_ptr<WriteBack>> WriteBack::Create(PoolParts& parts, size_t batch_pages,
                                                       WalGate* gate, DoubleWrite* double_write) {
  auto memory = SystemMemory::Reserve({.reserve_bytes = batch_pages * parts.frames.page_bytes(),
                                       .alignment = kAlignment,
                                       .commit = CommitPolicy::kOnTouch});
  if (!memory) return tl::unexpected(std::move(memory.error()));
  return std::unique_ptr<WriteBack>(
      new WriteBack(parts, std::move(*memory), batch_pages, gate, double_write));
}

Expected<size_t> WriteBack::Write(std::span<const FrameIndex> frames,
                                  std::vector<FrameIndex>* written) {
  const std::scoped_lock lock(mutex_);
  is_busy_.store(true, std::memory_order_relaxed);
  auto count = WriteLocked(frames, written);
  is_busy_.store(false, std::memory_order_relaxed);
  return count;
}

Expected<size_t> WriteBack::WriteLocked(std::span<const FrameIndex> frames,
                                        std::vector<FrameIndex>* written) {
  copies_.clear();
  Lsn last = 0;
  for (const FrameIndex frame : frames) {
    Copy copy;
    std::byte* const to = memory_.data() + copies_.size() * parts_.frames.page_bytes();
    if (!CopyOut(frame, to, &copy)) continue;
    copies_.push_back(copy);
    last = std::max(last, copy.lsn);
  }
  if (copies_.empty()) return 0;
  if (auto durable = AwaitLog(last); !durable) {
    errors_.fetch_add(1, std::memory_order_relaxed);
    return tl::unexpected(std::move(durable.error()));
  }
  std::sort(copies_.begin(), copies_.end(),
            [](const Copy& a, const Copy& b) { return a.key < b.key; });
  return WriteCopies(written);
}

// Pins the page where it can be had at once: whoever has it exclusively may be waiting for us.
bool WriteBack::CopyOut(FrameIndex frame, std::byte* to, Copy* copy) noexcept {
  Frame& its = parts_.frames[frame];
  const PageKey key = its.key.load(std::memory_order_relaxed);
  PageEntry* const entry = parts_.TryPin(key, frame);
  if (entry == nullptr) return false;
  const bool is_dirty = its.is_dirty.load(std::memory_order_relaxed);
  if (is_dirty) {
    std::memcpy(to, parts_.frames.At(frame), parts_.frames.page_bytes());
    *copy = {.key = key,
             .frame = frame,
             .bytes = to,
             .lsn = its.lsn.load(std::memory_order_relaxed),
             .changes = its.changes.load(std::memory_order_relaxed)};
  }
  parts_.Unpin(*entry);
  return is_dirty;
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

Expected<size_t> WriteBack::WriteCopies(std::vector<FrameIndex>* written_frames) {
  batches_.fetch_add(1, std::memory_order_relaxed);
  const size_t page_bytes = parts_.frames.page_bytes();
  for (const Copy& copy : copies_) {
    const BufferedFile& file = *parts_.files.Find(PageOf(copy.key).file);
    file.codec->Seal({copy.bytes, page_bytes}, PageOf(copy.key), copy.lsn);
  }
  if (double_write_ != nullptr) {
    writes_.clear();
    for (const Copy& copy : copies_) writes_.push_back({.bytes = copy.bytes});
    if (auto kept = double_write_->Keep(writes_, parts_.files); !kept) {
      errors_.fetch_add(1, std::memory_order_relaxed);
      return tl::unexpected(std::move(kept.error()));
    }
  }
  size_t written = 0;
  std::optional<Error> first_error;
  for (size_t first = 0; first < copies_.size();) {
    const FileId file_id = PageOf(copies_[first].key).file;
    BufferedFile& file = *parts_.files.Find(file_id);
    writes_.clear();
    for (size_t i = first; i < copies_.size() && PageOf(copies_[i].key).file == file_id; ++i) {
      writes_.push_back({.page = PageOf(copies_[i].key).page, .bytes = copies_[i].bytes});
    }
    file.is_unsynced.store(true, std::memory_order_seq_cst);
    file.store->Write(writes_);
    for (size_t i = 0; i < writes_.size(); ++i) {
      const Copy& copy = copies_[first + i];
      if (writes_[i].error_number == 0) {
        ++written;
        if (written_frames != nullptr) written_frames->push_back(copy.frame);
        NoteWritten(copy);
        continue;
      }
      errors_.fetch_add(1, std::memory_order_relaxed);
      if (!first_error) first_error = WriteError(PageOf(copy.key), file, writes_[i].error_number);
    }
    first += writes_.size();
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
