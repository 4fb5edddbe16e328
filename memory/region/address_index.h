// AddressIndex: ranges by address. Internal to memory/region.
//
// What is covered is cut into 4096 segments, each with the red-black tree of the ranges that begin
// there, and a bit if there are any. A search looks into one tree; where that has nobody below or
// above, the next segment that has somebody is found by its bit. So a thousand ranges that are
// spread out cost a comparison each, a million ten, and ranges that are all in one segment what one
// tree of them would.
//
// What is covered doubles when a range begins beyond it; then all are put into their new segments,
// in order, which takes a time proportional to their number. It never halves: a region of 2^n
// grains is rearranged fewer than n times in its life.
//
// Sources: treebins of dlmalloc, by address instead of size; a calendar queue (Brown, CACM 1988)
// whose days are trees.
#ifndef GRANARY_MEMORY_REGION_ADDRESS_INDEX_H_
#define GRANARY_MEMORY_REGION_ADDRESS_INDEX_H_

#include <array>
#include <bit>
#include <boost/intrusive/rbtree_algorithms.hpp>
#include <cstddef>
#include <cstdint>

#include "memory/region/range_record.h"

namespace granary::region {

// Counts comparisons of keys, and how ranges kept their places, for tests; this one does not.
struct NoProbe {
  static void Compared() noexcept {}
  static void Rekeyed(bool /*in_place*/) noexcept {}
};

// Which way a search goes nobody can foresee: better no branch than one that is wrong half the
// time.
inline bool Unpredictable(bool condition) noexcept {
  return __builtin_expect_with_probability(condition, 1, 0.5) != 0;
}

template <class Units, class Probe = NoProbe>
class AddressIndex {
 public:
  using Record = RangeRecord<Units>;
  using Traits = TreeTraits<Record, &Record::by_address>;
  using Tree = boost::intrusive::rbtree_algorithms<Traits>;

  static constexpr uint32_t kSegments = 4096;

  // Where a range that begins at some offset is, or would be.
  struct Place {
    // The nearest that begins at the offset or below it, and the nearest above; nullptr for none.
    Record* at_or_below = nullptr;
    Record* above = nullptr;
    // For insertion: its parent in the tree of its segment, nullptr if that is empty.
    Record* parent = nullptr;
    bool is_left = true;
  };

  // `headers` are kSegments records that nobody takes, in the slab of all those that come here. All
  // stay where they are. A segment's header is made when its first range comes.
  void Start(Record* headers) noexcept { headers_ = headers; }
  // The same ranges as `other`, whose records are in this one's slab by the same numbers.
  template <class Other>
  void CopyFrom(const AddressIndex<Other, Probe>& other) noexcept {
    count_ = other.count_;
    shift_ = other.shift_;
    words_ = other.words_;
    summary_ = other.summary_;
  }

  // Of `count` records from `first` on, which are in order of their offsets: into an index that has
  // none. Linear. In index_build.h.
  void Build(Record* first, uint32_t count) noexcept;

  uint64_t count() const noexcept { return count_; }

  [[gnu::always_inline]] Place Find(Units offset) const noexcept {
    const uint32_t segment = SegmentOf(offset);
    Place place;
    if (HasSegment(segment)) {
      for (Record* at = Traits::get_parent(&headers_[segment]); at != nullptr;) {
        Probe::Compared();
        place.parent = at;
        place.is_left = Unpredictable(offset < at->offset);
        place.above = place.is_left ? at : place.above;
        place.at_or_below = place.is_left ? place.at_or_below : at;
        at = Traits::child(at, place.is_left);
      }
    }
    if (place.at_or_below == nullptr) place.at_or_below = LastBefore(segment);
    if (place.above == nullptr) place.above = FirstFrom(segment + 1);
    return place;
  }

  // The nearest that begins at the offset or below it; nullptr for none.
  Record* AtOrBelow(Units offset) const noexcept {
    const uint32_t segment = SegmentOf(offset);
    Record* found = nullptr;
    if (HasSegment(segment)) {
      for (Record* at = Traits::get_parent(&headers_[segment]); at != nullptr;) {
        const bool is_left = Unpredictable(offset < at->offset);
        found = is_left ? found : at;
        at = Traits::child(at, is_left);
      }
    }
    return found != nullptr ? found : LastBefore(segment);
  }

  // nullptr for none.
  Record* First() const noexcept { return FirstFrom(0); }
  Record* Last() const noexcept {
    const auto last = static_cast<uint32_t>(std::bit_width(summary_));
    return last != 0 ? LastIn(last - 1, words_[last - 1]) : nullptr;
  }
  Record* Next(Record& record) const noexcept {
    const uint32_t segment = SegmentOf(record.offset);
    Record* const next = Tree::next_node(&record);
    return next != &headers_[segment] ? next : FirstFrom(segment + 1);
  }
  Record* Previous(Record& record) const noexcept {
    const uint32_t segment = SegmentOf(record.offset);
    // Boost's prev_node knows no end: of a root that is the first node it is the root again.
    if (&record != Traits::get_left(&headers_[segment])) return Tree::prev_node(&record);
    return LastBefore(segment);
  }

  // Its offset is set, and `place` is that of its offset.
  [[gnu::always_inline]] void Insert(Record& record, const Place& place) noexcept {
    ++count_;
    if (!IsCovered(record.offset)) [[unlikely]] {
      Cover(record.offset);
      Link(record, Find(record.offset));
      return;
    }
    Link(record, place);
  }
  void Insert(Record& record) noexcept { Insert(record, Find(record.offset)); }

  [[gnu::always_inline]] void Erase(Record& record) noexcept {
    --count_;
    Unlink(record);
  }

  // Its place among the others stays as it was.
  [[gnu::always_inline]] void SetOffset(Record& record, Units offset) noexcept {
    const uint32_t before = SegmentOf(record.offset);
    if (IsCovered(offset) && SegmentOf(offset) == before) [[likely]] {
      record.offset = offset;
      return;
    }
    Unlink(record);
    const bool is_up = offset > record.offset;
    record.offset = offset;
    if (!IsCovered(offset)) Cover(offset);
    LinkAtEnd(record, /*is_first=*/is_up);
  }

  // --- For validation ---------------------------------------------------------------------------

  bool HasSegment(uint32_t segment) const noexcept {
    return (words_[segment / 64] >> (segment % 64) & 1) != 0;
  }
  // Of a segment that has ranges.
  const Record& HeaderOf(uint32_t segment) const noexcept { return headers_[segment]; }
  // The last one also for all that is not covered.
  uint32_t SegmentOf(Units offset) const noexcept {
    const Units segment = offset >> shift_;
    return segment < kSegments ? static_cast<uint32_t>(segment) : kSegments - 1;
  }

 private:
  template <class OtherUnits, class OtherProbe>
  friend class AddressIndex;

  static constexpr uint32_t kWords = kSegments / 64;

  bool IsCovered(Units offset) const noexcept { return offset >> shift_ < kSegments; }

  // The last of all in segments below this one.
  [[gnu::always_inline]] Record* LastBefore(uint32_t segment) const noexcept {
    uint32_t word = segment / 64;
    uint64_t bits = words_[word] & ((uint64_t{1} << (segment % 64)) - 1);
    if (bits == 0) {
      const uint64_t words = summary_ & ((uint64_t{1} << word) - 1);
      if (words == 0) return nullptr;
      word = 63 - static_cast<uint32_t>(std::countl_zero(words));
      bits = words_[word];
    }
    return LastIn(word, bits);
  }
  // The last one of the segments that `bits` of a word say, which are not none.
  Record* LastIn(uint32_t word, uint64_t bits) const noexcept {
    const uint32_t found = word * 64 + 63 - static_cast<uint32_t>(std::countl_zero(bits));
    return Traits::get_right(&headers_[found]);
  }
  // The first of all in segments from this one on.
  [[gnu::always_inline]] Record* FirstFrom(uint32_t segment) const noexcept {
    if (segment == kSegments) return nullptr;
    uint32_t word = segment / 64;
    uint64_t bits = words_[word] >> (segment % 64) << (segment % 64);
    if (bits == 0) {
      const uint64_t words = summary_ & ~((uint64_t{2} << word) - 1);
      if (words == 0) return nullptr;
      word = static_cast<uint32_t>(std::countr_zero(words));
      bits = words_[word];
    }
    const uint32_t found = word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
    return Traits::get_left(&headers_[found]);
  }

  // The only one of its segment.
  [[gnu::always_inline]] void LinkAlone(Record& record, uint32_t segment) noexcept {
    Record* const header = MakeSegment(segment);
    Traits::set_parent(header, &record);
    Traits::set_left(header, &record);
    Traits::set_right(header, &record);
    const auto to_header = static_cast<int32_t>(header - &record);
    record.by_address = {to_header * 2, TreeHook::kNone, TreeHook::kNone};
  }
  // Its header, whose links the caller makes.
  Record* MakeSegment(uint32_t segment) noexcept {
    words_[segment / 64] |= uint64_t{1} << (segment % 64);
    summary_ |= uint64_t{1} << (segment / 64);
    // As Boost's init_header has it: by its colour a header is told from a root.
    Traits::set_color(&headers_[segment], Traits::red());
    return &headers_[segment];
  }
  [[gnu::always_inline]] void Link(Record& record, const Place& place) noexcept {
    const uint32_t segment = SegmentOf(record.offset);
    if (place.parent == nullptr) {
      LinkAlone(record, segment);
      return;
    }
    InsertInTree(&headers_[segment], record, place);
  }
  [[gnu::noinline]] static void InsertInTree(Record* header, Record& record,
                                             const Place& place) noexcept {
    typename Tree::insert_commit_data commit;
    commit.node = place.parent;
    commit.link_left = place.is_left;
    Tree::insert_unique_commit(header, &record, commit);
  }
  [[gnu::noinline]] static void EraseFromTree(Record* header, Record& record) noexcept {
    Tree::erase(header, &record);
  }
  void LinkAtEnd(Record& record, bool is_first) noexcept {
    const uint32_t segment = SegmentOf(record.offset);
    if (!HasSegment(segment)) {
      LinkAlone(record, segment);
    } else if (is_first) {
      Tree::push_front(&headers_[segment], &record);
    } else {
      Tree::push_back(&headers_[segment], &record);
    }
  }
  [[gnu::always_inline]] void Unlink(Record& record) noexcept {
    const uint32_t segment = SegmentOf(record.offset);
    Record* const header = &headers_[segment];
    if (Traits::get_left(header) != Traits::get_right(header)) {
      EraseFromTree(header, record);
      return;
    }
    words_[segment / 64] &= ~(uint64_t{1} << (segment % 64));
    if (words_[segment / 64] == 0) summary_ &= ~(uint64_t{1} << (segment / 64));
  }

  // Covers `offset`. All are taken from their trees into one chain by their right links first, as
  // the headers of the new trees are those of the old ones.
  [[gnu::noinline]] void Cover(Units offset) noexcept {
    Record* first = nullptr;
    Record* last = nullptr;
    for (uint32_t segment = 0; segment < kSegments; ++segment) {
      if (!HasSegment(segment)) continue;
      Record* const header = &headers_[segment];
      while (Traits::get_parent(header) != nullptr) {
        Record* const record = Tree::unlink_leftmost_without_rebalance(header);
        if (last == nullptr) {
          first = record;
        } else {
          Traits::set_right(last, record);
        }
        last = record;
      }
    }
    words_ = {};
    summary_ = 0;
    while (!IsCovered(offset)) ++shift_;
    if (last != nullptr) Traits::set_right(last, nullptr);
    while (first != nullptr) {
      Record& record = *first;
      first = Traits::get_right(first);
      LinkAtEnd(record, /*is_first=*/false);
    }
  }

  Record* headers_ = nullptr;
  uint64_t count_ = 0;
  // A segment has 2^shift_ grains.
  uint32_t shift_ = 6;
  // Bit i: word i is not 0.
  uint64_t summary_ = 0;
  // Bit i: segment i has ranges.
  std::array<uint64_t, kWords> words_ = {};
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_ADDRESS_INDEX_H_
