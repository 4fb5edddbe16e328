// FreeIndex: free ranges by address and by size. Internal to memory/region.
//
// By address they are a red-black tree. By size those of up to 64 grains are in bins, a list for each
// size and a bit for each bin that is not empty; larger ones are a second red-black tree, by size and
// then by address. So a small request that fits exactly is a bit test and the head of a list, and any
// other the next bit, or one descent.
//
// A range that shrinks or grows keeps its place in the tree by size where its neighbour there allows
// it: that is the case for three splits of four (counted over recorded traces), and costs a look at
// that neighbour instead of an erasure and an insertion.
//
// Offsets and lengths are in grains. Nothing here can fail, and nothing checks: RegionCore does.
//
// Sources: exact bins with a bitmap before a tree, the free lists of OCaml and dlmalloc; two trees
// over one record, the extent allocator of XFS.
#ifndef GRANARY_MEMORY_REGION_FREE_INDEX_H_
#define GRANARY_MEMORY_REGION_FREE_INDEX_H_

#include <array>
#include <bit>
#include <boost/intrusive/rbtree_algorithms.hpp>
#include <cstddef>
#include <cstdint>

#include "memory/region/range_record.h"
#include "memory/region/record_slab.h"

namespace granary::region {

// Counts comparisons of keys, and how ranges kept their places, for tests; this one does not.
struct NoProbe {
  static void Compared() noexcept {}
  static void Rekeyed(bool /*in_place*/) noexcept {}
};

template <class Units, class Probe = NoProbe>
class FreeIndex {
 public:
  using Record = RangeRecord<Units>;
  using Slab = RecordSlab<Record>;
  using AddressTree = boost::intrusive::rbtree_algorithms<TreeTraits<Record, &Record::by_address>>;
  using SizeTree = boost::intrusive::rbtree_algorithms<TreeTraits<Record, &Record::by_size>>;

  static constexpr Units kBins = 64;

  // Where a range that begins at some offset is, or would be.
  struct Place {
    // The nearest that begins at the offset or below it, and the nearest above; nullptr for none.
    Record* at_or_below = nullptr;
    Record* above = nullptr;
    typename AddressTree::insert_commit_data commit;
  };

  // `header` is a record that nobody takes, in the slab of all those that come here. Both stay where
  // they are.
  void Start(Slab& slab, Record& header, bool uses_bins) noexcept {
    slab_ = &slab;
    header_ = &header;
    uses_bins_ = uses_bins;
    AddressTree::init_header(header_);
    SizeTree::init_header(header_);
  }
  // The same ranges as `other`, whose records are in this one's slab by the same numbers.
  template <class Other>
  void CopyFrom(const FreeIndex<Other, Probe>& other) noexcept {
    count_ = other.count_;
    free_units_ = other.free_units_;
    bins_ = other.bins_;
    heads_ = other.heads_;
  }

  uint64_t count() const noexcept { return count_; }
  Units free_units() const noexcept { return free_units_; }

  // --- By address -------------------------------------------------------------------------------

  // One descent.
  Place Find(Units offset) const noexcept {
    Place place;
    place.commit.node = header_;
    place.commit.link_left = true;
    for (Record* at = AddressTraits::get_parent(header_); at != nullptr;) {
      place.commit.node = at;
      Probe::Compared();
      if (offset < at->offset) {
        place.above = at;
        place.commit.link_left = true;
        at = AddressTraits::get_left(at);
      } else {
        place.at_or_below = at;
        place.commit.link_left = false;
        at = AddressTraits::get_right(at);
      }
    }
    return place;
  }

  // nullptr for none.
  Record* First() const noexcept { return NotHeader(AddressTree::begin_node(header_)); }
  Record* Last() const noexcept { return NotHeader(AddressTraits::get_right(header_)); }
  Record* Next(Record& record) const noexcept {
    return NotHeader(AddressTree::next_node(&record));
  }
  Record* Previous(Record& record) const noexcept {
    return NotHeader(AddressTree::prev_node(&record));
  }

  // --- Changes ----------------------------------------------------------------------------------

  // Its offset and length are set, and `place` is that of its offset.
  void Insert(Record& record, const Place& place) noexcept {
    AddressTree::insert_unique_commit(header_, &record, place.commit);
    Added(record);
  }
  // The same, next above one that is here.
  void InsertAfter(Record& record, Record& below) noexcept {
    AddressTree::insert_before(header_, AddressTree::next_node(&below), &record);
    Added(record);
  }
  void Erase(Record& record) noexcept {
    EraseBySize(record);
    AddressTree::erase(header_, &record);
    --count_;
    free_units_ -= record.length;
  }
  // Where it is among the others by address stays as it was.
  void Change(Record& record, Units offset, Units length) noexcept {
    free_units_ += length - record.length;
    const bool was_in_bin = IsInBin(record.length);
    const bool will_be_in_bin = IsInBin(length);
    if (was_in_bin || will_be_in_bin) {
      if (was_in_bin && will_be_in_bin && length == record.length) {
        record.offset = offset;
        return;
      }
      EraseBySize(record);
      record.offset = offset;
      record.length = length;
      InsertBySize(record);
      return;
    }
    const bool stays = KeepsPlace(record, offset, length);
    Probe::Rekeyed(stays);
    if (!stays) SizeTree::erase(header_, &record);
    record.offset = offset;
    record.length = length;
    if (!stays) InsertInTree(record);
  }

  // --- By size ----------------------------------------------------------------------------------

  // The smallest of at least `length`, which is not 0; nullptr for none.
  Record* AtLeast(Units length) const noexcept {
    if (IsInBin(length)) {
      const uint64_t bins = bins_ >> (length - 1);
      if (bins != 0) {
        return &slab_->At(heads_[static_cast<size_t>(length - 1) +
                                 static_cast<size_t>(std::countr_zero(bins))]);
      }
    }
    Record* found = nullptr;
    for (Record* at = SizeTraits::get_parent(header_); at != nullptr;) {
      Probe::Compared();
      if (at->length < length) {
        at = SizeTraits::get_right(at);
      } else {
        found = at;
        at = SizeTraits::get_left(at);
      }
    }
    return found;
  }

  // The next larger one, or one of its size.
  Record* NextBySize(Record& record) const noexcept {
    if (!IsInBin(record.length)) return NotHeader(SizeTree::next_node(&record));
    if (record.in_bin.next != 0) return &slab_->At(record.in_bin.next);
    const uint64_t bins = record.length < kBins ? bins_ >> record.length : 0;
    if (bins != 0) {
      return &slab_->At(heads_[static_cast<size_t>(record.length) +
                               static_cast<size_t>(std::countr_zero(bins))]);
    }
    return NotHeader(SizeTree::begin_node(header_));
  }

  Units LargestLength() const noexcept {
    if (const Record* const last = NotHeader(SizeTraits::get_right(header_))) return last->length;
    return static_cast<Units>(64 - std::countl_zero(bins_));
  }

  // --- For validation ---------------------------------------------------------------------------

  const Record& header() const noexcept { return *header_; }
  bool IsInBin(Units length) const noexcept { return uses_bins_ && length <= kBins; }
  uint64_t bins() const noexcept { return bins_; }
  uint32_t head(size_t bin) const noexcept { return heads_[bin]; }
  Record* FirstInTreeBySize() const noexcept {
    return NotHeader(SizeTree::begin_node(header_));
  }
  Record* NextInTreeBySize(Record& record) const noexcept {
    return NotHeader(SizeTree::next_node(&record));
  }

 private:
  template <class OtherUnits, class OtherProbe>
  friend class FreeIndex;

  using AddressTraits = TreeTraits<Record, &Record::by_address>;
  using SizeTraits = TreeTraits<Record, &Record::by_size>;

  // An empty tree's header is its own first and last.
  Record* NotHeader(Record* record) const noexcept {
    return record != header_ ? record : nullptr;
  }

  void Added(Record& record) noexcept {
    InsertBySize(record);
    ++count_;
    free_units_ += record.length;
  }

  static bool SizeBefore(Units length, Units offset, const Record& b) noexcept {
    Probe::Compared();
    return length != b.length ? length < b.length : offset < b.offset;
  }

  // Whether its neighbours in the tree by size are still its neighbours with these.
  bool KeepsPlace(Record& record, Units offset, Units length) const noexcept {
    if (length < record.length) {
      const Record* const smaller = NotHeader(SizeTree::prev_node(&record));
      return smaller == nullptr || !SizeBefore(length, offset, *smaller);
    }
    const Record* const larger = NotHeader(SizeTree::next_node(&record));
    return larger == nullptr || SizeBefore(length, offset, *larger);
  }

  void InsertBySize(Record& record) noexcept {
    if (!IsInBin(record.length)) {
      InsertInTree(record);
      return;
    }
    const auto bin = static_cast<size_t>(record.length - 1);
    const uint32_t head = heads_[bin];
    const uint32_t number = slab_->NumberOf(record);
    record.in_bin = {0, head};
    if (head != 0) slab_->At(head).in_bin.previous = number;
    heads_[bin] = number;
    bins_ |= uint64_t{1} << bin;
  }

  void InsertInTree(Record& record) noexcept {
    typename SizeTree::insert_commit_data commit;
    commit.node = header_;
    commit.link_left = true;
    for (Record* at = SizeTraits::get_parent(header_); at != nullptr;) {
      commit.node = at;
      commit.link_left = SizeBefore(record.length, record.offset, *at);
      at = commit.link_left ? SizeTraits::get_left(at) : SizeTraits::get_right(at);
    }
    SizeTree::insert_unique_commit(header_, &record, commit);
  }

  void EraseBySize(Record& record) noexcept {
    if (!IsInBin(record.length)) {
      SizeTree::erase(header_, &record);
      return;
    }
    const auto bin = static_cast<size_t>(record.length - 1);
    const ListHook links = record.in_bin;
    if (links.next != 0) slab_->At(links.next).in_bin.previous = links.previous;
    if (links.previous != 0) {
      slab_->At(links.previous).in_bin.next = links.next;
      return;
    }
    heads_[bin] = links.next;
    if (links.next == 0) bins_ &= ~(uint64_t{1} << bin);
  }

  Slab* slab_ = nullptr;
  Record* header_ = nullptr;
  bool uses_bins_ = true;
  uint64_t count_ = 0;
  Units free_units_ = 0;
  // Bit i: the bin of length i + 1 is not empty.
  uint64_t bins_ = 0;
  std::array<uint32_t, kBins> heads_ = {};
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_FREE_INDEX_H_
