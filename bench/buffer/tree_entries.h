// What is in the trees, and in which order it is looked for.
#ifndef GRANARY_BENCH_BUFFER_TREE_ENTRIES_H_
#define GRANARY_BENCH_BUFFER_TREE_ENTRIES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bench/buffer/orders.h"
#include "bench/buffer/pages.h"

namespace granary::bench {

// Entry i of a tree: keys ascend with i, at distances that nobody can guess.
constexpr uint64_t KeyOf(uint64_t entry) { return entry << 20 | (WordOf(entry) & 0xfffff); }
constexpr uint64_t ValueOf(uint64_t entry) { return WordOf(entry); }

// Which entries are asked for, one after the other, by each thread in another order.
class EntryOrders {
 public:
  // Of each one `count` entries from the asked one on are read; there are that many behind it. In
  // each round there are others.
  EntryOrders(Distribution distribution, size_t entries, size_t thread_count, size_t asked,
              size_t count = 1, size_t round = 0)
      : count_(count) {
    for (size_t thread = 0; thread < thread_count; ++thread) {
      Order& order = orders_.emplace_back();
      order.entries =
          MakeOrder(distribution, entries - count + 1, round * thread_count + thread, asked);
      for (const uint32_t first : order.entries) {
        for (size_t i = first; i < first + count; ++i) order.values += ValueOf(i);
      }
    }
  }

  size_t threads() const { return orders_.size(); }
  size_t asked() const { return orders_.size() * orders_.front().entries.size(); }
  size_t count() const { return count_; }
  std::span<const uint32_t> EntriesOf(size_t thread) const { return orders_[thread].entries; }
  // The sum of all values that are found.
  uint64_t ValuesOf(size_t thread) const { return orders_[thread].values; }

 private:
  struct Order {
    std::vector<uint32_t> entries;
    uint64_t values = 0;
  };

  size_t count_;
  std::vector<Order> orders_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_TREE_ENTRIES_H_
