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

  size_t size() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }
  Iterator begin() const noexcept { return {pool_, first_, count_}; }
  Iterator end() const noexcept { return {}; }

  // Takes the first page out: it is allocated by itself from now on. nullptr if the chain is empty.
  [[nodiscard]] std::byte* Take(CallSite site = CallSite::Current()) noexcept {
    if (count_ == 0) return nullptr;
    const PageIndex index = first_;
    if (--count_ != 0) first_ = pool_->LinkOf(index);
    return pool_->HandOut(index, site);
  }

  // Puts a page at the end that is allocated by itself, from the chain's own pool.
  void Append(std::byte* page, CallSite site = CallSite::Current()) noexcept {
    AppendIndex(pool_->TakeIntoChain(page, site));
  }

  // Puts all pages of `other`, a chain of the same pool, at the end. O(1).
  void Splice(PageChain&& other) noexcept {
    if (other.count_ == 0) return;
    if (count_ == 0) {
      Swap(other);
      return;
    }
    pool_->SetLink(last_, other.first_);
    last_ = other.last_;
    count_ += std::exchange(other.count_, 0);
  }

  // Gives all pages back to the pool; the chain is empty then, and may be used again. O(1).
  void Release() noexcept {
    if (count_ != 0) pool_->ReleaseChain(first_, last_, std::exchange(count_, 0));
  }

 private:
  friend Pool;
  explicit PageChain(Pool* pool) noexcept : pool_(pool) {}

  void AppendIndex(PageIndex index) noexcept {
    if (count_++ == 0) {
      first_ = index;
    } else {
      pool_->SetLink(last_, index);
    }
    last_ = index;
  }

  void Swap(PageChain& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(first_, other.first_);
    std::swap(last_, other.last_);
    std::swap(count_, other.count_);
  }

  Pool* pool_ = nullptr;
  PageIndex first_ = kNoPage;
  PageIndex last_ = kNoPage;
  size_t count_ = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_PAGE_CHAIN_H_
