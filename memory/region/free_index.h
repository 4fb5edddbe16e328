// FreeIndex: free ranges by address and by size. Internal to memory/region.
//
// By address they are in an AddressIndex. By size those of up to 64 grains are in bins, a list for
// each size and a bit for each bin that is not empty; larger ones in classes, sixteen to a
// doubling, each a red-black tree by size and then by address, and a bit. So a small request that
// fits exactly is a bit test and the head of a list; any other is a descent into the small tree of
// its class, or the first of the next class.
//
// A range that shrinks or grows keeps its place by size where its class and its neighbour there
// allow it, and that costs a look at the neighbour instead of an erasure and an insertion.
//
// Offsets and lengths are in grains. Nothing here can fail, and nothing checks: RegionCore does.
//
// Sources: exact bins with a bitmap before a tree, the free lists of OCaml and dlmalloc; two trees
// over one record, the extent allocator of XFS.
#ifndef GRANARY_MEMORY_REGION_FREE_INDEX_H_
#define GRANARY_MEMORY_REGION_FREE_INDEX_H_

#include <algorithm>
#include <array>
#include <bit>
#include <boost/intrusive/rbtree_algorithms.hpp>
#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/region/address_index.h"
#include "memory/region/range_record.h"
#include "memory/region/record_slab.h"

namespace granary::region {

template <class Units, class Probe = NoProbe>
class FreeIndex {
 public:
  using Record = RangeRecord<Units>;
  using Slab = RecordSlab<Record>;
  using Addresses = AddressIndex<Units, Probe>;
  using Place = typename Addresses::Place;
  using SizeTree = boost::intrusive::rbtree_algorithms<TreeTraits<Record, &Record::by_size>>;

  static constexpr Units kBins = 64;
  static constexpr size_t kClassesPerDoubling = 16;
  static constexpr size_t kClasses = (8 * sizeof(Units) - 6) * kClassesPerDoubling;
  // Records that are headers of trees, of segments by one hook and of classes by the other. As many
  // for either width of units, so that a record has the same number in both.
  static constexpr uint32_t kHeaders = Addresses::kSegments;
  static_assert(kHeaders >= (8 * sizeof(uint64_t) - 6) * kClassesPerDoubling);

  // `headers` are kHeaders records that nobody takes, in the slab of all those that come here. All
  // stay where they are. A class's header is made when its first range comes.
  void Start(Slab& slab, Record* headers, bool uses_bins) noexcept {
    slab_ = &slab;
    headers_ = headers;
    uses_bins_ = uses_bins;
    addresses_.Start(headers);
  }
  // The same ranges as `other`, whose records are in this one's slab by the same numbers.
  template <class Other>
  void CopyFrom(const FreeIndex<Other, Probe>& other) noexcept {
    addresses_.CopyFrom(other.addresses_);
    free_units_ = other.free_units_;
    bins_ = other.bins_;
    heads_ = other.heads_;
    std::copy(other.classes_.begin(), other.classes_.end(), classes_.begin());
    words_ = other.words_;
  }

  // Of the ranges of `count` records from number `first` on, which are in order of their offsets:
  // into an index that has none. Linear; `bin_order` are those that belong in bins, counted from
  // `first`, by length and then as they are to be taken. In index_build.h.
  void Build(uint32_t first, uint32_t count, std::span<const uint32_t> bin_order);

  const Addresses& addresses() const noexcept { return addresses_; }
  uint64_t count() const noexcept { return addresses_.count(); }
  Units free_units() const noexcept { return free_units_; }

  // --- Changes ----------------------------------------------------------------------------------

  // Its offset and length are set, and `place` is that of its offset.
  [[gnu::always_inline]] void Insert(Record& record, const Place& place) noexcept {
    addresses_.Insert(record, place);
    InsertBySize(record);
    free_units_ += record.length;
  }
  [[gnu::always_inline]] void Erase(Record& record) noexcept {
    EraseBySize(record);
    addresses_.Erase(record);
    free_units_ -= record.length;
  }
  // Where it is among the others by address stays as it was.
  [[gnu::noinline]] void Change(Record& record, Units offset, Units length) noexcept {
    free_units_ += length - record.length;
    const bool was_in_bin = IsInBin(record.length);
    const bool will_be_in_bin = IsInBin(length);
    if (was_in_bin || will_be_in_bin) {
      EraseBySize(record);
      addresses_.SetOffset(record, offset);
      record.length = length;
      InsertBySize(record);
      return;
    }
    const bool stays = KeepsPlace(record, offset, length);
    Probe::Rekeyed(stays);
    if (!stays) EraseFromClass(record);
    addresses_.SetOffset(record, offset);
    record.length = length;
    if (!stays) InsertInClass(record);
  }

  // --- By size ----------------------------------------------------------------------------------

  // The smallest of at least `length`, which is not 0; nullptr for none.
  [[gnu::always_inline]] Record* AtLeast(Units length) const noexcept {
    if (IsInBin(length)) {
      const uint64_t bins = bins_ >> (length - 1);
      if (bins != 0) {
        return &slab_->At(
            heads_[static_cast<size_t>(length - 1) + static_cast<size_t>(std::countr_zero(bins))]);
      }
    }
    return AtLeastInClasses(length);
  }

  // The next larger one, or one of its size.
  Record* NextBySize(Record& record) const noexcept {
    if (!IsInBin(record.length)) {
      const size_t its_class = ClassOf(record.length);
      Record* const next = SizeTree::next_node(&record);
      return next != &HeaderOf(its_class) ? next : FirstOfClassFrom(its_class + 1);
    }
    if (record.in_bin.next != 0) return &slab_->At(record.in_bin.next);
    const uint64_t bins = record.length < kBins ? bins_ >> record.length : 0;
    if (bins != 0) {
      return &slab_->At(
          heads_[static_cast<size_t>(record.length) + static_cast<size_t>(std::countr_zero(bins))]);
    }
    return FirstOfClassFrom(0);
  }

  Units LargestLength() const noexcept {
    if (words_ == 0) return static_cast<Units>(64 - std::countl_zero(bins_));
    const auto word = static_cast<size_t>(63 - std::countl_zero(words_));
    const size_t last = word * 64 + static_cast<size_t>(63 - std::countl_zero(classes_[word]));
    return SizeTraits::get_right(&HeaderOf(last))->length;
  }

  // --- For validation ---------------------------------------------------------------------------

  bool IsInBin(Units length) const noexcept { return uses_bins_ && length <= kBins; }
  uint64_t bins() const noexcept { return bins_; }
  uint32_t head(size_t bin) const noexcept { return heads_[bin]; }
  // Of those that are in no bin.
  Record* FirstInClasses() const noexcept { return FirstOfClassFrom(0); }
  static size_t ClassOf(Units length) noexcept {
    if (length < kBins) return 0;
    const auto log2 = static_cast<size_t>(std::bit_width(length)) - 1;
    return (log2 - 6) * kClassesPerDoubling +
           static_cast<size_t>(length >> (log2 - 4)) % kClassesPerDoubling;
  }
  bool HasClass(size_t index) const noexcept {
    return (classes_[index / 64] >> (index % 64) & 1) != 0;
  }
  // Of a class that has ranges.
  Record& HeaderOf(size_t index) const noexcept { return headers_[index]; }

 private:
  template <class OtherUnits, class OtherProbe>
  friend class FreeIndex;

  using SizeTraits = TreeTraits<Record, &Record::by_size>;

  static bool SizeBefore(Units length, Units offset, const Record& b) noexcept {
    Probe::Compared();
    return (length < b.length) | ((length == b.length) & (offset < b.offset));
  }

  [[gnu::noinline]] Record* AtLeastInClasses(Units length) const noexcept {
    const size_t its_class = ClassOf(length);
    if (HasClass(its_class)) {
      Record* found = nullptr;
      for (Record* at = SizeTraits::get_parent(&HeaderOf(its_class)); at != nullptr;) {
        Probe::Compared();
        const bool is_left = Unpredictable(length <= at->length);
        found = is_left ? at : found;
        at = SizeTraits::child(at, is_left);
      }
      if (found != nullptr) return found;
    }
    return FirstOfClassFrom(its_class + 1);
  }

  // Whether its neighbours in the tree by size are still its neighbours with these.
  bool KeepsPlace(Record& record, Units offset, Units length) const noexcept {
    const size_t its_class = ClassOf(length);
    if (its_class != ClassOf(record.length)) return false;
    const Record* const header = &HeaderOf(its_class);
    if (length < record.length) {
      if (&record == SizeTraits::get_left(header)) return true;
      return !SizeBefore(length, offset, *SizeTree::prev_node(&record));
    }
    if (&record == SizeTraits::get_right(header)) return true;
    return SizeBefore(length, offset, *SizeTree::next_node(&record));
  }

  // The first of the first class from `index` on that has ranges; nullptr for none.
  Record* FirstOfClassFrom(size_t index) const noexcept {
    if (index >= kClasses) return nullptr;
    size_t word = index / 64;
    uint64_t bits = classes_[word] >> (index % 64) << (index % 64);
    if (bits == 0) {
      const uint64_t words = word == 63 ? 0 : words_ >> (word + 1) << (word + 1);
      if (words == 0) return nullptr;
      word = static_cast<size_t>(std::countr_zero(words));
      bits = classes_[word];
    }
    const size_t found = word * 64 + static_cast<size_t>(std::countr_zero(bits));
    return SizeTraits::get_left(&HeaderOf(found));
  }

  [[gnu::always_inline]] void InsertBySize(Record& record) noexcept {
    if (!IsInBin(record.length)) {
      InsertInClass(record);
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

  [[gnu::noinline]] void InsertInClass(Record& record) noexcept {
    const size_t its_class = ClassOf(record.length);
    Record* const header = &HeaderOf(its_class);
    if (!HasClass(its_class)) {
      SizeTree::init_header(header);
      classes_[its_class / 64] |= uint64_t{1} << (its_class % 64);
      words_ |= uint64_t{1} << (its_class / 64);
    }
    typename SizeTree::insert_commit_data commit;
    commit.node = header;
    commit.link_left = true;
    for (Record* at = SizeTraits::get_parent(header); at != nullptr;) {
      commit.node = at;
      commit.link_left = Unpredictable(SizeBefore(record.length, record.offset, *at));
      at = SizeTraits::child(at, commit.link_left);
    }
    SizeTree::insert_unique_commit(header, &record, commit);
  }

  [[gnu::noinline]] void EraseFromClass(Record& record) noexcept {
    const size_t its_class = ClassOf(record.length);
    Record* const header = &HeaderOf(its_class);
    SizeTree::erase(header, &record);
    if (SizeTraits::get_parent(header) != nullptr) return;
    classes_[its_class / 64] &= ~(uint64_t{1} << (its_class % 64));
    if (classes_[its_class / 64] == 0) words_ &= ~(uint64_t{1} << (its_class / 64));
  }

  [[gnu::always_inline]] void EraseBySize(Record& record) noexcept {
    if (!IsInBin(record.length)) {
      EraseFromClass(record);
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
  Record* headers_ = nullptr;
  Addresses addresses_;
  bool uses_bins_ = true;
  Units free_units_ = 0;
  // Bit i: the bin of length i + 1 is not empty.
  uint64_t bins_ = 0;
  std::array<uint32_t, kBins> heads_ = {};
  // Bit i: class i is not empty; and of the words that have any.
  std::array<uint64_t, (kClasses + 63) / 64> classes_ = {};
  uint64_t words_ = 0;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_FREE_INDEX_H_
