// SharedPage, ExclusivePage, OptimisticPage: a page of a buffer pool in somebody's hands.
//
// The first two are latches, held until the guard's end, and while one is held the page stays in
// its frame. The third holds nothing: the page may change or go while it is read, and Validate()
// says afterwards whether it did.
//
//   auto page = pool.FixShared({file, 7});
//   if (!page) return tl::unexpected(page.error());
//   Read(page->bytes());
//
//   auto page = pool.FixExclusive({file, 7});
//   if (!page) return tl::unexpected(page.error());
//   Change(page->bytes());
//   page->MarkDirty(lsn);
//
//   auto page = pool.Peek({file, 7});
//   if (!page) return tl::unexpected(page.error());
//   const Node copy = page->Read<Node>(0);     // may be nonsense ...
//   if (!page->Validate()) goto again;         // ... unless this is true
//
// Latches. Many threads may have a page shared, or one has it exclusively. A thread that has a page
// latched and asks for another may wait for it: as with any lock, threads that latch several pages
// agree on an order. Two latches of one page in one thread, of which one is exclusive, wait for
// each other for ever; Upgrade() and Downgrade() are there for that. A thread may hold at most a
// thousand pages, and a page may be held a thousand times.
//
// Costs. A shared latch: an atomic read-modify-write, and one to let it go. An exclusive latch the
// same. Optimistic: three loads, and two to validate; nothing is written that others could see.
//
// Under ThreadSanitizer, which takes every optimistic read for a race, an OptimisticPage has the
// page latched shared.
//
// Threading. A guard is one thread's at a time, and may be handed on. The pool outlives it.
#ifndef GRANARY_POOL_BUFFER_PAGE_GUARD_H_
#define GRANARY_POOL_BUFFER_PAGE_GUARD_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "memory/sanitizer.h"
#include "pool/buffer/page_entry.h"
#include "pool/buffer/page_types.h"
#include "pool/buffer/pool_parts.h"
#include "pool/call_site.h"

namespace granary {

class ExclusivePage;

namespace buffer {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kOptimisticReadsPin = true;
#else
inline constexpr bool kOptimisticReadsPin = false;
#endif

// What a guard has of its page. Internal.
class Latched {
 public:
  Latched() noexcept = default;
  [[gnu::always_inline]] Latched(PoolParts& parts, PageEntry& entry, std::byte* bytes,
                                 uint64_t pin) noexcept
      : parts_(&parts), entry_(&entry), bytes_(bytes), pin_(pin) {}
  Latched(PoolParts& parts, PageEntry& entry, FrameIndex frame, uint64_t pin) noexcept
      : Latched(parts, entry, parts.frames.At(frame), pin) {}
  Latched(Latched&& other) noexcept
      : parts_(std::exchange(other.parts_, nullptr)),
        entry_(other.entry_),
        bytes_(other.bytes_),
        pin_(other.pin_) {}

  bool is_held() const noexcept { return parts_ != nullptr; }
  PoolParts& parts() const noexcept { return *parts_; }
  PageEntry& entry() const noexcept { return *entry_; }
  std::byte* bytes() const noexcept { return bytes_; }
  uint64_t pin() const noexcept { return pin_; }
  FrameIndex frame() const noexcept { return parts_->frames.IndexOf(bytes_); }
  buffer::Frame& info() const noexcept { return parts_->frames[frame()]; }
  size_t page_bytes() const noexcept { return parts_->frames.page_bytes(); }

  void SetPin(uint64_t pin) noexcept { pin_ = pin; }
  void Forget() noexcept {
    if (pin_ != 0) [[unlikely]]
      parts_->ledger->Remove(pin_);
    parts_ = nullptr;
  }

 private:
  PoolParts* parts_ = nullptr;
  PageEntry* entry_ = nullptr;
  std::byte* bytes_ = nullptr;
  // In the ledger; 0 where pins are not recorded.
  uint64_t pin_ = 0;
};

}  // namespace buffer

// A page that nobody changes.
class [[nodiscard]] SharedPage {
 public:
  // No page.
  SharedPage() noexcept = default;
  SharedPage(SharedPage&& other) noexcept = default;
  SharedPage& operator=(SharedPage&& other) noexcept {
    if (this != &other) {
      Release();
      new (&latched_) buffer::Latched(std::move(other.latched_));
    }
    return *this;
  }
  ~SharedPage() { Release(); }

  bool is_held() const noexcept { return latched_.is_held(); }
  // Of a page that is held, as are the others.
  std::span<const std::byte> bytes() const noexcept {
    return {latched_.bytes(), latched_.page_bytes()};
  }
  const std::byte* data() const noexcept { return latched_.bytes(); }
  PageId id() const noexcept { return PageOf(latched_.info().key.load(std::memory_order_relaxed)); }
  // Of its last change that the pool knows of.
  Lsn lsn() const noexcept { return latched_.info().lsn.load(std::memory_order_relaxed); }

  // The same page for the caller alone; this guard is empty then. Nothing, and this guard as it
  // was, if anybody else has the page: waiting for another who does the same would be for ever.
  [[nodiscard]] std::optional<ExclusivePage> TryUpgrade(
      CallSite site = CallSite::Current()) noexcept;

  // Lets the page go before the guard's end.
  void Release() noexcept {
    if (!latched_.is_held()) return;
    buffer::PoolParts& parts = latched_.parts();
    buffer::PageEntry& entry = latched_.entry();
    latched_.Forget();
    parts.Unpin(entry);
  }

 private:
  template <class>
  friend class BasicBufferPool;
  friend class BufferPoolCore;
  friend class ExclusivePage;
  friend class OptimisticPage;

  [[gnu::always_inline]] explicit SharedPage(buffer::Latched latched) noexcept
      : latched_(std::move(latched)) {}

  buffer::Latched latched_;
};

// A page that is the caller's alone.
class [[nodiscard]] ExclusivePage {
 public:
  ExclusivePage() noexcept = default;
  ExclusivePage(ExclusivePage&& other) noexcept = default;
  ExclusivePage& operator=(ExclusivePage&& other) noexcept {
    if (this != &other) {
      Release();
      new (&latched_) buffer::Latched(std::move(other.latched_));
    }
    return *this;
  }
  ~ExclusivePage() { Release(); }

  bool is_held() const noexcept { return latched_.is_held(); }
  std::span<std::byte> bytes() const noexcept { return {latched_.bytes(), latched_.page_bytes()}; }
  std::byte* data() const noexcept { return latched_.bytes(); }
  PageId id() const noexcept { return PageOf(latched_.info().key.load(std::memory_order_relaxed)); }
  Lsn lsn() const noexcept { return latched_.info().lsn.load(std::memory_order_relaxed); }

  // The page is to be written: after the log is durable up to `lsn`, that of its last change. Once
  // for each change, or once behind several with the last one's. Bytes that were changed without
  // it are lost when the page is evicted.
  void MarkDirty(Lsn lsn) noexcept { latched_.parts().frames.MarkDirty(latched_.frame(), lsn); }

  // The same page shared; this guard is empty then. Nobody else has it in between.
  [[nodiscard]] SharedPage Downgrade(CallSite site = CallSite::Current()) noexcept;

  void Release() noexcept {
    if (!latched_.is_held()) return;
    buffer::PoolParts& parts = latched_.parts();
    buffer::PageEntry& entry = latched_.entry();
    latched_.Forget();
    parts.Woken(entry, entry.ReleaseExclusive(true));
  }

 private:
  template <class>
  friend class BasicBufferPool;
  friend class BufferPoolCore;
  friend class OptimisticPage;
  friend class SharedPage;

  explicit ExclusivePage(buffer::Latched latched) noexcept : latched_(std::move(latched)) {}

  buffer::Latched latched_;
};

// A page that others may change while it is read.
class [[nodiscard]] OptimisticPage {
 public:
  OptimisticPage() noexcept = default;

  // True if what was read since Peek, or since the last time that this was true, is one content of
  // the page that was asked for. What is read before is not to be believed: lengths and page
  // numbers may be anything.
  [[nodiscard, gnu::always_inline]] bool Validate() const noexcept {
    return entry_->LoadAfterReads().is_same_page_as(seen_);
  }

  // The page as it is in memory. Reads are races, by the letter of C++: read each word once, and
  // nothing before Validate() that a wrong value would harm. An address sanitizer may report a
  // frame that the pool has given away; Read() does not.
  const std::byte* data() const noexcept { return bytes_; }

  // A copy of what is at `offset`, whoever writes there. `offset` + sizeof(T) is within the page.
  template <class T>
  [[nodiscard]] T Read(size_t offset) const noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    T copy;
    Copy(bytes_ + offset, reinterpret_cast<std::byte*>(&copy), sizeof(T));
    return copy;
  }
  // The same into `to`; true if it is one content of the page.
  [[nodiscard]] bool ReadConsistent(size_t offset, std::span<std::byte> to) const noexcept {
    Copy(bytes_ + offset, to.data(), to.size());
    return Validate();
  }

  // The page, latched, if it is as it was at Peek and can be had at once.
  [[nodiscard]] std::optional<SharedPage> TryLatchShared(
      CallSite site = CallSite::Current()) noexcept;
  [[nodiscard]] std::optional<ExclusivePage> TryUpgrade(
      CallSite site = CallSite::Current()) noexcept;

 private:
  template <class>
  friend class BasicBufferPool;
  friend class BufferPoolCore;

  [[gnu::always_inline]] OptimisticPage(buffer::PoolParts& parts, const buffer::PageEntry& entry,
                                        const std::byte* bytes, buffer::EntryState seen,
                                        PageId id) noexcept
      : parts_(&parts), entry_(&entry), bytes_(bytes), seen_(seen), id_(id) {}

  static void Copy(const std::byte* from, std::byte* to, size_t bytes) noexcept {
#if defined(GRANARY_ASAN)
    CopyUnchecked(from, to, bytes);
#else
    std::memcpy(to, from, bytes);
#endif
  }
#if defined(GRANARY_ASAN)
  // As the sanitizer is to look at `to` alone.
  __attribute__((no_sanitize("address"))) static void CopyUnchecked(const std::byte* from,
                                                                    std::byte* to,
                                                                    size_t bytes) noexcept {
    for (size_t i = 0; i < bytes; ++i) to[i] = *const_cast<const volatile std::byte*>(from + i);
  }
#endif

  buffer::PoolParts* parts_ = nullptr;
  const buffer::PageEntry* entry_ = nullptr;
  const std::byte* bytes_ = nullptr;
  buffer::EntryState seen_{0};
  PageId id_;
#if defined(__SANITIZE_THREAD__)
  SharedPage pinned_;
#endif
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_PAGE_GUARD_H_
