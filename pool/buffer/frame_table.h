// FrameTable: what a buffer pool knows of each of its frames. Internal to pool/buffer.
//
// A frame is a page of the PagePool, by its number there; its memory stays where it is as long as
// that pool lives, so that an optimistic reader may read a frame that has been given away, and find
// that out afterwards. What is known of a frame stands beside it, 32 bytes; there is memory for
// those that were used.
//
// Who may change what: the thread that brings the page or has it latched exclusively everything;
// who has it pinned may call it clean. Everything may be read at any time, and is then as reliable
// as the latch the reader has.
#ifndef GRANARY_POOL_BUFFER_FRAME_TABLE_H_
#define GRANARY_POOL_BUFFER_FRAME_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "memory/error.h"
#include "memory/system_memory.h"
#include "pool/buffer/page_types.h"
#include "pool/page_pool.h"

namespace granary::buffer {

struct alignas(32) Frame {
  // Whose frame it is.
  enum class Use : uint8_t {
    kFree,    // Nobody's, or that of a page that is being brought.
    kFresh,   // Of a resident page that the eviction policy has not been told of yet.
    kPolicy,  // Of a resident page that the eviction policy has in its queues.
    kPicked,  // The same, and somebody has picked it to evict it.
    kRing,    // Of a resident page in the ring of a scan.
    kGone,    // Its page was discarded while it was fresh, picked or in a ring.
  };

  // While it has a page.
  std::atomic<PageKey> key;
  // Of the last change; of a free frame the next in the list of them.
  std::atomic<Lsn> lsn;
  // Of the first change that the store has not got, while the page is dirty.
  std::atomic<Lsn> first_lsn;
  // Goes on with every change of the content and every page that comes, so that who has copied it
  // knows whether the copy is the newest.
  std::atomic<uint32_t> changes;
  std::atomic<bool> is_dirty;
  std::atomic<Use> use;
};
static_assert(sizeof(Frame) == 32);

// Where frames are: what a hit has of the table. By multiplication: a shift by a number that the
// compiler does not know is three operations on many processors, and this is one.
struct FrameAddresses {
  std::byte* base;
  size_t page_bytes;

  [[gnu::always_inline]] std::byte* At(FrameIndex frame) const noexcept {
    return base + page_bytes * frame;
  }
};

class FrameTable {
 public:
  static Expected<FrameTable> Create(PagePool& pages, SystemCalls* calls) {
    const size_t count = pages.slab().page_count();
    auto frames = SystemMemory::Reserve({.reserve_bytes = count * sizeof(Frame),
                                         .commit = CommitPolicy::kOnTouch,
                                         .system_calls = calls});
    if (!frames) return tl::unexpected(std::move(frames.error()));
    auto dirty = SystemMemory::Reserve({.reserve_bytes = (count + 63) / 64 * sizeof(uint64_t),
                                        .commit = CommitPolicy::kOnTouch,
                                        .system_calls = calls});
    if (!dirty) return tl::unexpected(std::move(dirty.error()));
    return FrameTable(pages, std::move(*frames), std::move(*dirty));
  }

  // Before anybody else knows it.
  FrameTable(FrameTable&& other) noexcept
      : FrameTable(*other.pages_, std::move(other.frame_memory_), std::move(other.dirty_memory_)) {}

  size_t page_bytes() const noexcept { return pages_->page_bytes(); }
  // Frames that ever had a page have numbers below this.
  size_t used_end() const noexcept { return used_end_.load(std::memory_order_acquire); }
  Frame& operator[](FrameIndex frame) const noexcept { return frames_[frame]; }
  std::byte* At(FrameIndex frame) const noexcept { return pages_->At(frame); }
  FrameIndex IndexOf(const std::byte* page) const noexcept { return pages_->IndexOf(page); }
  std::span<std::byte> BytesOf(FrameIndex frame) const noexcept {
    return {At(frame), page_bytes()};
  }

  // A page with this content comes into the frame.
  void Start(FrameIndex frame, PageKey key, Lsn lsn) noexcept {
    Frame& its = frames_[frame];
    size_t end = used_end_.load(std::memory_order_relaxed);
    while (end <= frame &&
           !used_end_.compare_exchange_weak(end, size_t{frame} + 1, std::memory_order_release)) {
    }
    its.key.store(key, std::memory_order_relaxed);
    its.lsn.store(lsn, std::memory_order_relaxed);
    Changed(its);
    its.is_dirty.store(false, std::memory_order_relaxed);
  }

  // The page was changed by what the log has at `lsn`. Its latch is the caller's, exclusively.
  void MarkDirty(FrameIndex frame, Lsn lsn) noexcept {
    Frame& its = frames_[frame];
    Changed(its);
    if (its.lsn.load(std::memory_order_relaxed) < lsn) {
      its.lsn.store(lsn, std::memory_order_relaxed);
    }
    if (its.is_dirty.load(std::memory_order_relaxed)) return;
    its.first_lsn.store(lsn, std::memory_order_relaxed);
    its.is_dirty.store(true, std::memory_order_relaxed);
    // Release: who finds the bit finds the frame's first_lsn.
    WordOf(frame).fetch_or(BitOf(frame), std::memory_order_release);
    dirty_count_.fetch_add(1, std::memory_order_relaxed);
  }
  // The store has what the page is now, or nobody is to get it. The caller has it latched.
  void MarkClean(FrameIndex frame) noexcept {
    Frame& its = frames_[frame];
    // Release: who finds it clean finds that its file is to be synced.
    if (!its.is_dirty.exchange(false, std::memory_order_release)) return;
    WordOf(frame).fetch_and(~BitOf(frame), std::memory_order_release);
    dirty_count_.fetch_sub(1, std::memory_order_relaxed);
  }

  size_t dirty_count() const noexcept { return dirty_count_.load(std::memory_order_relaxed); }
  // Which of the frames from 64 * `word` on are dirty, the first one's bit lowest; there are
  // dirty_words().
  uint64_t DirtyWord(size_t word) const noexcept {
    return words_[word].load(std::memory_order_acquire);
  }
  size_t dirty_words() const noexcept { return (used_end() + 63) / 64; }

 private:
  FrameTable(PagePool& pages, SystemMemory frames, SystemMemory dirty) noexcept
      : pages_(&pages),
        frame_memory_(std::move(frames)),
        dirty_memory_(std::move(dirty)),
        // Zeros are as the constructors make them.
        frames_(reinterpret_cast<Frame*>(frame_memory_.data())),
        words_(reinterpret_cast<std::atomic<uint64_t>*>(dirty_memory_.data())) {}

  static void Changed(Frame& frame) noexcept {
    frame.changes.store(frame.changes.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
  }
  std::atomic<uint64_t>& WordOf(FrameIndex frame) const noexcept { return words_[frame / 64]; }
  static uint64_t BitOf(FrameIndex frame) noexcept { return uint64_t{1} << frame % 64; }

  PagePool* pages_;
  SystemMemory frame_memory_;
  SystemMemory dirty_memory_;
  Frame* frames_;
  std::atomic<uint64_t>* words_;
  std::atomic<size_t> used_end_ = 0;
  std::atomic<size_t> dirty_count_ = 0;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_FRAME_TABLE_H_
