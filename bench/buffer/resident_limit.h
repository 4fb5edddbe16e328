// Keeps a mapped file to so many pages in memory, as a group of processes with a limit is kept,
// without the privileges that such a group takes.
//
// Who reads says which pages; beyond the limit those go that granary's own policy picks. They leave
// the mapping and the operating system's cache, and are read from the disk the next time. All of it
// is done while nothing is timed: what the operating system would take to find pages to give up is
// not counted against whose pages they are.
#ifndef GRANARY_BENCH_BUFFER_RESIDENT_LIMIT_H_
#define GRANARY_BENCH_BUFFER_RESIDENT_LIMIT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "bench/cache_sim/eviction_cache.h"

namespace granary::bench {

class ResidentLimit {
 public:
  // Why files of this one's folder cannot be limited so, or nothing.
  static std::string WhyNot(const std::string& path);

  // Of a file of so many pages, clean and mapped by this process alone; `inside` is any address of
  // the mapping. None of it is in memory afterwards. `pages` is of those that Touch is told of.
  ResidentLimit(int descriptor, uint64_t file_pages, const void* inside, size_t pages);

  // This page was read; another may go for it.
  void Touch(const void* address);

  // Of the file, whether it was told of them or not.
  size_t resident_pages() const;

 private:
  void Drop(uint64_t first_page, uint64_t pages);

  const int descriptor_;
  const uint64_t file_pages_;
  std::byte* mapped_ = nullptr;
  const std::unique_ptr<EvictionCache> told_;
  uint64_t last_page_ = UINT64_MAX;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_RESIDENT_LIMIT_H_
