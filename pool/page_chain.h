// PageChain: pages of one pool that are held, and given back, together.
//
//   auto chain = pool.AllocateChain(100);        // all of them, or an empty chain
//   for (std::byte* page : chain) Fill(page);
//   chain.Append(pool.Allocate());               // O(1)
//   // Goes back in O(1), whatever its length, here or with Release().
//
// And a reservation: pages set aside before a point where an allocation must not fail (within a
// latch, say), and taken one by one behind it.
//
//   auto reserved = pool.Reserve(3);
//   if (!reserved) return tl::unexpected(reserved.error());
//   std::byte* page = reserved->Take();          // cannot fail three times
//
// The links stand in the pool's array beside the pages; no page is touched. A page of a chain
// cannot be freed by itself until Take() has taken it out; the pool reports an attempt.
//
// Threading: one thread at a time. The pool outlives the chain.
#ifndef GRANARY_POOL_PAGE_CHAIN_H_
#define GRANARY_POOL_PAGE_CHAIN_H_

#include <cstddef>
#include <iterator>
#include <utility>

#include "pool/call_site.h"
#include "pool/page_list.h"
#include "pool/page_pool_options.h"

namespace granary {

template <class Pool>
class [[nodiscard]] PageChain {
 public:
  class Iterator {
   public:
    using value_type = std::byte*;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::forward_iterator_tag;

    Iterator() noexcept = default;
    std::byte* operator*() const noexcept { return pool_->At(at_); }
    Iterator& operator++() noexcept {
      if (--left_ != 0) at_ = pool_->LinkOf(at_);
      return *this;
    }
    Iterator operator++(int) noexcept {
      const Iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept {
      return a.left_ == b.left_;
    }

   private:
    friend class PageChain;
    Iterator(const Pool* pool, PageIndex at, size_t left) noexcept
        : pool_(pool), at_(at), left_(left) {}

    const Pool* pool_ = nullptr;
    PageIndex at_ = kNoPage;
    size_t left_ = 0;
  };

  // Empty, and of no pool: nothing can be appended, only spliced or moved in.
  PageChain() noexcept = default;
  PageChain(PageChain&& other) noexcept { Swap(other); }
  PageChain& operator=(PageChain&& other) noexcept {
    PageChain(std::move(other)).Swap(*this);
    return *this;
  }
  ~PageChain() { Release(); }

  size_t size() const noexcept { return list_.count; }
  bool empty() const noexcept { return list_.empty(); }
  Iterator begin() const noexcept { return {pool_, list_.first, list_.count}; }
  Iterator end() const noexcept { return {}; }

  // Takes the first page out: it is allocated by itself from now on. nullptr if the chain is empty.
  [[nodiscard]] std::byte* Take(CallSite site = CallSite::Current()) noexcept {
    if (empty()) return nullptr;
    const PageIndex index = list_.first;
    if (--list_.count != 0) list_.first = pool_->LinkOf(index);
    return pool_->HandOut(index, site);
  }

  // Puts a page at the end that is allocated by itself, from the chain's own pool.
  void Append(std::byte* page, CallSite site = CallSite::Current()) noexcept {
    list_.Append(*pool_, pool_->TakeIntoChain(page, site));
  }

  // Puts all pages of `other`, a chain of the same pool, at the end. O(1).
  void Splice(PageChain&& other) noexcept {
    if (other.empty()) return;
    if (empty()) {
      Swap(other);
      return;
    }
    pool_->SetLink(list_.last, other.list_.first);
    list_.last = other.list_.last;
    list_.count += std::exchange(other.list_.count, 0);
  }

  // Gives all pages back to the pool; the chain is empty then, and may be used again. O(1).
  void Release() noexcept {
    if (!empty()) pool_->ReleaseChain(std::exchange(list_, {}));
  }

 private:
  friend Pool;
  explicit PageChain(Pool* pool) noexcept : pool_(pool) {}

  void Swap(PageChain& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(list_, other.list_);
  }

  Pool* pool_ = nullptr;
  PageList list_;
};

}  // namespace granary

#endif  // GRANARY_POOL_PAGE_CHAIN_H_
