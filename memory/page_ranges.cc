#include "memory/page_ranges.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <new>
#include <utility>

namespace granary {

std::optional<PageRanges::Spare> PageRanges::MakeSpare() noexcept {
  try {
    std::map<uint64_t, uint64_t> maker;
    return maker.extract(maker.emplace(0, 0).first);
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
}

void PageRanges::Insert(uint64_t begin, uint64_t end, Spare spare) noexcept {
  spare.key() = begin;
  spare.mapped() = end;
  ends_.insert(std::move(spare));
}

uint64_t PageRanges::Add(uint64_t begin, uint64_t end, Spare spare) noexcept {
  assert(begin < end);
  uint64_t added = end - begin;
  // Every range that overlaps or touches the new one is swallowed by it.
  auto range = ends_.upper_bound(begin);
  if (range != ends_.begin() && std::prev(range)->second >= begin) --range;
  uint64_t merged_begin = begin;
  uint64_t merged_end = end;
  while (range != ends_.end() && range->first <= end) {
    const uint64_t overlap_begin = std::max(range->first, begin);
    const uint64_t overlap_end = std::min(range->second, end);
    added -= overlap_end - overlap_begin;
    merged_begin = std::min(merged_begin, range->first);
    merged_end = std::max(merged_end, range->second);
    range = ends_.erase(range);
  }
  Insert(merged_begin, merged_end, std::move(spare));
  return added;
}

uint64_t PageRanges::Remove(uint64_t begin, uint64_t end, Spare spare) noexcept {
  assert(begin < end);
  uint64_t removed = 0;
  auto range = ends_.upper_bound(begin);
  if (range != ends_.begin() && std::prev(range)->second > begin) --range;
  while (range != ends_.end() && range->first < end) {
    const uint64_t range_begin = range->first;
    const uint64_t range_end = range->second;
    removed += std::min(range_end, end) - std::max(range_begin, begin);
    if (range_begin < begin) {
      range->second = begin;
      ++range;
      // Both of its ends stay: the one case that needs a record more, and the last range concerned.
      // NOLINTNEXTLINE(bugprone-use-after-move)
      if (range_end > end) Insert(end, range_end, std::move(spare));
    } else if (range_end > end) {
      auto cut = ends_.extract(range);
      Insert(end, range_end, std::move(cut));
    } else {
      range = ends_.erase(range);
      continue;
    }
    if (range_end >= end) break;
  }
  return removed;
}

PageRanges::Range PageRanges::FirstGap(uint64_t begin, uint64_t end) const noexcept {
  auto next = ends_.upper_bound(begin);
  if (next != ends_.begin() && std::prev(next)->second > begin) begin = std::prev(next)->second;
  if (begin >= end) return {end, end};
  return {begin, next == ends_.end() ? end : std::min(end, next->first)};
}

}  // namespace granary
