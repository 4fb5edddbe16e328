// Writing what is dirty: flushes and checkpoints.
#include <algorithm>
#include <bit>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "pool/buffer/buffer_pool_core.h"

namespace granary {

using buffer::Frame;

// Pages that become dirty behind the pass are left.
template <class Write>
void BufferPoolCore::ForDirty(Lsn up_to, const Write& write) {
  const buffer::FrameTable& frames = parts().frames;
  std::vector<FrameIndex> batch;
  batch.reserve(parts_.write_back->batch_pages());
  for (size_t word = 0; word < frames.dirty_words(); ++word) {
    for (uint64_t bits = frames.DirtyWord(word); bits != 0; bits &= bits - 1) {
      const auto frame =
          static_cast<FrameIndex>(word * 64) + static_cast<FrameIndex>(std::countr_zero(bits));
      if (frames[frame].first_lsn.load(std::memory_order_relaxed) > up_to) continue;
      batch.push_back(frame);
      if (batch.size() < parts_.write_back->batch_pages()) continue;
      if (!write(batch)) return;
      batch.clear();
    }
  }
  if (!batch.empty()) (void)write(batch);
}

// One that somebody had exclusively when its batch was written, or was just writing, is tried
// again, until it was written once.
Expected<void> BufferPoolCore::FlushPaced(Lsn up_to, std::optional<FileId> file,
                                          size_t pages_per_second) {
  const buffer::FrameTable& frames = parts().frames;
  Expected<void> result;
  const Clock::time_point begin = Clock::now();
  size_t written = 0;
  const auto is_due = [&](FrameIndex frame) {
    const Frame& its = frames[frame];
    if (!its.is_dirty.load(std::memory_order_acquire)) return false;
    if (its.first_lsn.load(std::memory_order_relaxed) > up_to) return false;
    return !file || PageOf(its.key.load(std::memory_order_relaxed)).file == *file;
  };
  std::vector<FrameIndex> due;
  std::vector<FrameIndex> done;
  done.reserve(parts_.write_back->batch_pages());
  ForDirty(up_to, [&](std::span<const FrameIndex> batch) {
    due.assign(batch.begin(), batch.end());
    while (true) {
      std::erase_if(due, [&](FrameIndex frame) {
        return !is_due(frame) || std::find(done.begin(), done.end(), frame) != done.end();
      });
      if (due.empty()) break;
      done.clear();
      auto count = parts_.write_back->Write(due, &done);
      if (!count) {
        if (result) result = tl::unexpected(std::move(count.error()));
        break;
      }
      written += *count;
      if (*count == 0) std::this_thread::yield();
    }
    done.clear();
    if (pages_per_second != SIZE_MAX) {
      const auto due_after = std::chrono::duration<double>(static_cast<double>(written) /
                                                           static_cast<double>(pages_per_second));
      std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(due_after));
    }
    return true;
  });
  return result;
}

Expected<void> BufferPoolCore::Flush(Lsn up_to) {
  return FlushPaced(up_to, std::nullopt, SIZE_MAX);
}

Expected<Lsn> BufferPoolCore::Checkpoint(size_t pages_per_second) {
  const Lsn begin = gate_ != nullptr ? gate_->Flushed() : 0;
  if (auto flushed = FlushPaced(UINT64_MAX, std::nullopt, pages_per_second); !flushed) {
    return tl::unexpected(std::move(flushed.error()));
  }
  // What is dirty now may have been so before.
  Lsn first = begin;
  ForDirty(begin, [&](std::span<const FrameIndex> batch) {
    for (const FrameIndex frame : batch) {
      first = std::min(first, parts().frames[frame].first_lsn.load(std::memory_order_relaxed));
    }
    return true;
  });
  if (auto synced = parts().files.SyncWritten(); !synced) {
    return tl::unexpected(std::move(synced.error()));
  }
  return first;
}

}  // namespace granary
