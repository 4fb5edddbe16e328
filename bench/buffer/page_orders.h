// The orders of all threads of a run, and what they are to read.
#ifndef GRANARY_BENCH_BUFFER_PAGE_ORDERS_H_
#define GRANARY_BENCH_BUFFER_PAGE_ORDERS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bench/buffer/orders.h"
#include "bench/buffer/pages.h"

namespace granary::bench {

// One order for each thread.
class Orders {
 public:
  // In each round there are others.
  Orders(Distribution distribution, size_t pages, size_t thread_count, size_t reads = kOrderReads,
         size_t round = 0) {
    for (size_t thread = 0; thread < thread_count; ++thread) {
      Order& order = orders_.emplace_back();
      order.pages = MakeOrder(distribution, pages, round * thread_count + thread, reads);
      for (const uint32_t page : order.pages) order.words += WordOf(page);
    }
  }

  size_t threads() const { return orders_.size(); }
  size_t reads() const { return orders_.size() * orders_.front().pages.size(); }
  std::span<const uint32_t> PagesOf(size_t thread) const { return orders_[thread].pages; }
  // The sum of all words that are read.
  uint64_t WordsOf(size_t thread) const { return orders_[thread].words; }

 private:
  struct Order {
    std::vector<uint32_t> pages;
    uint64_t words = 0;
  };

  std::vector<Order> orders_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_PAGE_ORDERS_H_
