// Magazine: the free pages that one thread of a PagePool keeps at hand.
//
// A stack of pages behind an OwnerGate: the thread pushes and pops without an atomic
// read-modify-write, and the pool can stop it and look for the last free pages. It has the pages'
// addresses and not their numbers, so that a page that is freed and allocated again goes through
// memory as it is.
//
// Source: J. Bonwick and J. Adams, "Magazines and Vmem", USENIX 2001.
#ifndef GRANARY_POOL_MAGAZINE_H_
#define GRANARY_POOL_MAGAZINE_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/owner_gate.h"
#include "pool/page_pool_options.h"

namespace granary {

class alignas(64) Magazine {
 public:
  static constexpr uint32_t kCapacity = 2 * PagePoolOptions::kMagazinePagesMax;

  // `limit` pages, at most kCapacity, make it full. It is stopped.
  explicit Magazine(uint32_t limit) noexcept : limit_(limit) {}

  // The owner's calls. False if it is empty, full, or stopped, and then nothing has changed.
  [[gnu::always_inline]] bool TryPop(std::byte*& page) noexcept {
    const OwnerGate<>::Cursor at = gate_.EnterAbove();
    if (at == 0) [[unlikely]]
      return false;
    page = *(PageAt(at) - 1);
    gate_.Leave(at - sizeof(std::byte*));
    return true;
  }
  [[gnu::always_inline]] bool TryPush(std::byte* page) noexcept {
    const OwnerGate<>::Cursor at = gate_.EnterBelow();
    if (at == 0) [[unlikely]]
      return false;
    *PageAt(at) = page;
    gate_.Leave(at + sizeof(std::byte*));
    return true;
  }

  // For more than one page. False if it is stopped; what follows is the owner's, inside.
  [[nodiscard]] bool Enter() noexcept {
    const OwnerGate<>::Cursor at = gate_.Enter();
    if (at == 0) return false;
    count_ = CountTo(at);
    return true;
  }
  void Leave() noexcept { gate_.Leave(CursorAt(count_)); }

  // The oldest page is the first.
  std::span<std::byte* const> pages() const noexcept { return {pages_.data(), count_}; }
  bool full() const noexcept { return count_ == limit_; }
  std::byte* Pop() noexcept { return pages_[--count_]; }
  void Push(std::byte* page) noexcept { pages_[count_++] = page; }
  // Where the next pages go, and that so many are there.
  std::byte** end() noexcept { return pages_.data() + count_; }
  void Added(size_t added) noexcept { count_ += static_cast<uint32_t>(added); }
  void DropOldest(size_t dropped) noexcept {
    std::copy(pages_.data() + dropped, pages_.data() + count_, pages_.data());
    count_ -= static_cast<uint32_t>(dropped);
  }

  // With the pool's lock.
  // By the owner: it is empty, and may be entered.
  void Start() noexcept {
    started_ = true;
    gate_.Start(CursorAt(0), CursorAt(limit_));
  }
  // True until TakeAll.
  bool started() const noexcept { return started_; }
  void Stop() noexcept { gate_.Stop(); }
  // After Stop, as OwnerGate::WaitUntilOut; returns what was in it, which is the caller's now.
  std::span<std::byte* const> TakeAll() noexcept {
    started_ = false;
    return {pages_.data(), CountTo(gate_.WaitUntilOut())};
  }
  // Of this moment.
  uint32_t count() const noexcept { return started_ ? CountTo(gate_.Look()) : 0; }

 private:
  static std::byte** PageAt(OwnerGate<>::Cursor at) noexcept {
    return reinterpret_cast<std::byte**>(at);
  }
  OwnerGate<>::Cursor CursorAt(uint32_t i) const noexcept {
    return reinterpret_cast<OwnerGate<>::Cursor>(pages_.data() + i);
  }
  uint32_t CountTo(OwnerGate<>::Cursor at) const noexcept {
    return static_cast<uint32_t>((at - CursorAt(0)) / sizeof(std::byte*));
  }

  OwnerGate<> gate_;
  const uint32_t limit_;
  // The lock's.
  bool started_ = false;
  // While the owner is inside by Enter.
  uint32_t count_ = 0;
  std::array<std::byte*, kCapacity> pages_;
};

}  // namespace granary

#endif  // GRANARY_POOL_MAGAZINE_H_
