// PageRanges: a set of offsets, kept as disjoint ranges that do not touch. Internal to memory/.
//
// SystemMemory notes in it what is committed. Changes never allocate: the caller makes the one
// record that a change may need beforehand, while it can still refuse. Cost: O(log n) in the number
// of ranges, plus the ranges that a change swallows. Threading: one thread at a time.
#ifndef GRANARY_MEMORY_PAGE_RANGES_H_
#define GRANARY_MEMORY_PAGE_RANGES_H_

#include <cstdint>
#include <map>
#include <optional>

namespace granary {

// A set of offsets as ranges [begin, end), merged where they meet.
class PageRanges {
 public:
  // A record, made ahead of the change that may need it.
  using Spare = std::map<uint64_t, uint64_t>::node_type;

  // One range, empty when begin == end.
  struct Range {
    uint64_t begin;
    uint64_t end;
  };

  // A record for one Add or Remove; nothing when malloc refuses.
  static std::optional<Spare> MakeSpare() noexcept;

  // Puts [begin, end) in and uses up `spare`; returns how many offsets were not in before.
  uint64_t Add(uint64_t begin, uint64_t end, Spare spare) noexcept;

  // Takes [begin, end) out, with `spare` for the case that it splits a range; returns how many
  // offsets were in before.
  uint64_t Remove(uint64_t begin, uint64_t end, Spare spare) noexcept;

  // The first part of [begin, end) that is not in the set; an empty range at `end` if all of it is.
  Range FirstGap(uint64_t begin, uint64_t end) const noexcept;

 private:
  void Insert(uint64_t begin, uint64_t end, Spare spare) noexcept;

  std::map<uint64_t, uint64_t> ends_;  // Begin to end.
};

}  // namespace granary

#endif  // GRANARY_MEMORY_PAGE_RANGES_H_
