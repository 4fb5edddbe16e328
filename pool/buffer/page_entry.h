// PageEntry: where a page is, who has it latched, and its version, in one word. Internal to
// pool/buffer.
//
//   bit  0..10   pins: threads that have the page latched shared, or are just finding that they may
//                not; bit 10 is a guard that refuses more before the field can overflow
//   bit 11       exclusive: somebody has the page for himself, or waits for the last pins to go
//   bit 12       loading: one thread is bringing the page
//   bit 13       waiters: somebody sleeps until the word changes
//   bit 14       resident: `frame` has the page
//   bit 15..42   frame
//   bit 43..63   version: changes whenever the page may have another content or place
//
//             BeginLoad            EndLoad                    ClaimExclusive
//   absent ------------> loading ----------> resident, shared ---------------> claimed
//     ^  ^---FailLoad------'                 ^   ^  '--TryExclusive-----.         | pins are 0
//     |                                      |   '---ReleaseExclusive-- v         v
//     '--------------------Evict-------------+------------------------ exclusive
//
// A pin is one fetch_add, whatever the word is; who then sees in the old value that the page is not
// to be had takes it back. So pins may be there, for a moment, in every state, and every change is
// a read-modify-write that leaves them alone: a store would lose them.
//
// Exclusive comes in two steps where others have pins: the bit keeps new ones out, and then those
// that were there go. So a writer waits for the readers before it and for none after.
//
// An optimistic reader writes nothing. It loads the word, reads the page and loads the word again:
// if all but pins and waiters is as it was, nobody had the page exclusively in between, and it is
// the page that it was. The version comes round after 2^21 changes; a reader would have to sleep
// through exactly so many, and find the page in the same frame.
//
// Memory order. What the holder of the exclusive latch wrote happens before what who pins later
// reads: release in ReleaseExclusive, EndLoad and Evict, with acquire in Pin, TryExclusive,
// ClaimExclusive, TryUpgrade and BeginLoad. What readers read happens before what the next writer
// writes: release in Unpin, acquire in the load that sees the pins gone. BeginLoad releases as
// well: who waits for a page that is being brought looks whether it is the page he meant. An
// optimistic reader's loads of the page come before its second load of the word by an acquire
// fence; a writer's stores to the page come after its bit by a release fence. ThreadSanitizer knows
// no fences: where it is, nobody reads optimistically (see page_guard.h), and there are none.
//
// `Atomic` is std::atomic; a test puts in its own, and tries all interleavings.
//
// Sources: the page state of V. Leis et al., vmcache, SIGMOD 2023; versioned latches of V. Leis et
// al., DaMoN 2016; pins by fetch_add, undone on refusal, of RocksDB's HyperClockCache.
#ifndef GRANARY_POOL_BUFFER_PAGE_ENTRY_H_
#define GRANARY_POOL_BUFFER_PAGE_ENTRY_H_

#include <atomic>
#include <cstdint>

#include "pool/buffer/page_types.h"

namespace granary::buffer {

// A value of the word.
class EntryState {
 public:
  static constexpr uint64_t kPin = 1;
  static constexpr uint64_t kPinLimit = uint64_t{1} << 10;
  static constexpr uint64_t kPins = (uint64_t{1} << 11) - 1;
  static constexpr uint64_t kExclusive = uint64_t{1} << 11;
  static constexpr uint64_t kLoading = uint64_t{1} << 12;
  static constexpr uint64_t kWaiters = uint64_t{1} << 13;
  static constexpr uint64_t kResident = uint64_t{1} << 14;
  static constexpr unsigned kFrameShift = 15;
  static constexpr unsigned kFrameBits = 28;
  static constexpr uint64_t kFrame = ((uint64_t{1} << kFrameBits) - 1) << kFrameShift;
  static constexpr unsigned kVersionShift = 43;
  static constexpr uint64_t kVersion = uint64_t{1} << kVersionShift;
  static constexpr uint64_t kVersions = ~uint64_t{0} << kVersionShift;

  constexpr explicit EntryState(uint64_t bits) noexcept : bits_(bits) {}

  constexpr uint64_t bits() const noexcept { return bits_; }
  constexpr uint64_t pins() const noexcept { return bits_ & kPins; }
  constexpr bool is_exclusive() const noexcept { return (bits_ & kExclusive) != 0; }
  constexpr bool is_loading() const noexcept { return (bits_ & kLoading) != 0; }
  constexpr bool has_waiters() const noexcept { return (bits_ & kWaiters) != 0; }
  constexpr bool is_resident() const noexcept { return (bits_ & kResident) != 0; }
  constexpr FrameIndex frame() const noexcept {
    return static_cast<FrameIndex>((bits_ & kFrame) >> kFrameShift);
  }
  constexpr uint64_t version() const noexcept { return bits_ >> kVersionShift; }

  // The page is there and nobody has it, or wants it, for himself.
  constexpr bool is_readable() const noexcept {
    return (bits_ & (kExclusive | kLoading | kResident)) == kResident;
  }
  // The same, and one more may pin it: this was the word before, one that Pin() returned.
  constexpr bool was_pinned() const noexcept {
    return (bits_ & (kPinLimit | kExclusive | kLoading | kResident)) == kResident;
  }
  // Nobody brings it, and it is not there.
  constexpr bool is_absent() const noexcept {
    return (bits_ & (kExclusive | kLoading | kResident)) == 0;
  }
  // Whether who read the page after `before` and before this read one content of one page.
  constexpr bool is_same_page_as(EntryState before) const noexcept {
    return ((bits_ ^ before.bits_) & ~(kPins | kWaiters)) == 0;
  }

 private:
  uint64_t bits_;
};

// The word. All zero is absent, and so is memory that nobody has written to. Functions that return
// a state return the one before; who took the last reason for waiting out of a state that
// has_waiters() wakes them.
template <template <class> class Atomic = std::atomic>
class BasicPageEntry {
 public:
  using State = EntryState;

  BasicPageEntry() noexcept : word_(0) {}

  State Load() const noexcept { return State(word_.load(std::memory_order_acquire)); }
  // Behind the reads of an optimistic reader.
  State LoadAfterReads() const noexcept {
#if !defined(__SANITIZE_THREAD__)
    std::atomic_thread_fence(std::memory_order_acquire);
#endif
    return State(word_.load(std::memory_order_relaxed));
  }

  // --- Shared -----------------------------------------------------------------------------------

  // Latched, if the state returned was_pinned(); otherwise Unpin() comes next.
  [[nodiscard]] State Pin() noexcept {
    return State(word_.fetch_add(State::kPin, std::memory_order_acquire));
  }
  State Unpin() noexcept { return State(word_.fetch_sub(State::kPin, std::memory_order_release)); }

  // --- Exclusive --------------------------------------------------------------------------------

  // True if nobody had the page, and the caller has it now.
  [[nodiscard]] bool TryExclusive() noexcept {
    uint64_t word = word_.load(std::memory_order_relaxed);
    do {
      if (!State(word).is_readable() || State(word).pins() != 0) return false;
    } while (!Change(word, word | State::kExclusive));
    WritesComeLater();
    return true;
  }

  // True if nobody else comes in from now on; the page is the caller's when there are no pins.
  [[nodiscard]] bool ClaimExclusive() noexcept {
    uint64_t word = word_.load(std::memory_order_relaxed);
    do {
      if (!State(word).is_readable()) return false;
    } while (!Change(word, word | State::kExclusive));
    WritesComeLater();
    return true;
  }

  // True if the caller's pin is the only one, and has become exclusive.
  [[nodiscard]] bool TryUpgrade() noexcept {
    uint64_t word = word_.load(std::memory_order_relaxed);
    do {
      if (!State(word).is_readable() || State(word).pins() != 1) return false;
    } while (!Change(word, (word | State::kExclusive) - State::kPin));
    WritesComeLater();
    return true;
  }

  // True if the page is as it was at `seen`, and the caller's now.
  [[nodiscard]] bool TryExclusive(State seen) noexcept {
    uint64_t word = word_.load(std::memory_order_relaxed);
    do {
      if (!State(word).is_readable() || State(word).pins() != 0) return false;
      if (!State(word).is_same_page_as(seen)) return false;
    } while (!Change(word, word | State::kExclusive));
    WritesComeLater();
    return true;
  }

  // `is_changed`: optimistic readers are to find that out.
  State ReleaseExclusive(bool is_changed) noexcept {
    return Add((is_changed ? State::kVersion : 0) - State::kExclusive);
  }
  // Keeps a pin.
  State Downgrade(bool is_changed) noexcept {
    return Add((is_changed ? State::kVersion : 0) - State::kExclusive + State::kPin);
  }

  // --- Coming and going -------------------------------------------------------------------------

  // True if the page is absent and it is the caller's to bring it. `version` is where a word begins
  // that never was, or was forgotten.
  [[nodiscard]] bool BeginLoad(uint64_t version) noexcept {
    uint64_t word = word_.load(std::memory_order_relaxed);
    uint64_t begun;
    do {
      if (!State(word).is_absent()) return false;
      begun = word | State::kLoading;
      if (State(word).version() == 0) begun |= version << State::kVersionShift;
    } while (!word_.compare_exchange_weak(word, begun, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    return true;
  }

  enum class Loaded : uint8_t { kUnpinned, kShared, kExclusive };
  // It is in `frame`.
  State EndLoad(FrameIndex frame, Loaded as) noexcept {
    const uint64_t latch = as == Loaded::kShared      ? State::kPin
                           : as == Loaded::kExclusive ? State::kExclusive
                                                      : 0;
    return Add(State::kVersion + (uint64_t{frame} << State::kFrameShift) + State::kResident +
               latch - State::kLoading);
  }
  State FailLoad() noexcept { return Add(-State::kLoading); }

  // Whose the page is exclusively; it is in `frame` no more.
  State Evict(FrameIndex frame) noexcept {
    return Add(State::kVersion - (uint64_t{frame} << State::kFrameShift) - State::kResident -
               State::kExclusive);
  }

  // --- Waiting ----------------------------------------------------------------------------------

  // Whoever changes the state that is returned, or a later one, will see that there are waiters.
  [[nodiscard]] State AnnounceWaiter() noexcept {
    return State(word_.fetch_or(State::kWaiters, std::memory_order_acquire) | State::kWaiters);
  }
  // Before they are woken.
  void ForgetWaiters() noexcept { word_.fetch_and(~State::kWaiters, std::memory_order_relaxed); }

 private:
  bool Change(uint64_t& word, uint64_t to) noexcept {
    return word_.compare_exchange_weak(word, to, std::memory_order_acquire,
                                       std::memory_order_relaxed);
  }
  // What is written to the page comes behind the bit that says so.
  static void WritesComeLater() noexcept {
#if !defined(__SANITIZE_THREAD__)
    std::atomic_thread_fence(std::memory_order_release);
#endif
  }
  // The fields neither overflow nor borrow, but for the version, which is the topmost.
  State Add(uint64_t difference) noexcept {
    return State(word_.fetch_add(difference, std::memory_order_release));
  }

  Atomic<uint64_t> word_;
};

using PageEntry = BasicPageEntry<>;
static_assert(sizeof(PageEntry) == 8);

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_PAGE_ENTRY_H_
