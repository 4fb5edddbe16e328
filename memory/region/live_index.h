// LiveIndex: the live ranges of a tracked region, by address, or the pending ones of another.
// Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_LIVE_INDEX_H_
#define GRANARY_MEMORY_REGION_LIVE_INDEX_H_

#include <boost/intrusive/rbtree_algorithms.hpp>
#include <cstdint>

#include "memory/region/range_record.h"

namespace granary::region {

template <class Units>
class LiveIndex {
 public:
  using Record = RangeRecord<Units>;
  using Tree = boost::intrusive::rbtree_algorithms<TreeTraits<Record, &Record::by_address>>;

  // As FreeIndex::Start.
  void Start(Record& header) noexcept {
    header_ = &header;
    Tree::init_header(header_);
  }

  // As FreeIndex::CopyFrom.
  void CopyCount(uint64_t count) noexcept { count_ = count; }

  uint64_t count() const noexcept { return count_; }

  // The one that `offset` is in, nullptr for none.
  Record* Containing(Units offset) const noexcept {
    Record* found = nullptr;
    for (Record* at = Traits::get_parent(header_); at != nullptr;) {
      if (offset < at->offset) {
        at = Traits::get_left(at);
      } else {
        found = at;
        at = Traits::get_right(at);
      }
    }
    return found != nullptr && offset < found->end() ? found : nullptr;
  }

  // Whether a part of [offset, offset + length) is in one.
  bool Overlaps(Units offset, Units length) const noexcept {
    const auto end = static_cast<Units>(offset + length);
    const Record* below_end = nullptr;
    for (const Record* at = Traits::get_parent(header_); at != nullptr;) {
      if (at->offset < end) {
        below_end = at;
        at = Traits::get_right(at);
      } else {
        at = Traits::get_left(at);
      }
    }
    return below_end != nullptr && below_end->end() > offset;
  }

  void Insert(Record& record) noexcept {
    typename Tree::insert_commit_data commit;
    commit.node = header_;
    commit.link_left = true;
    for (Record* at = Traits::get_parent(header_); at != nullptr;) {
      commit.node = at;
      commit.link_left = record.offset < at->offset;
      at = commit.link_left ? Traits::get_left(at) : Traits::get_right(at);
    }
    Tree::insert_unique_commit(header_, &record, commit);
    ++count_;
  }
  // Next above one that is here.
  void InsertAfter(Record& record, Record& below) noexcept {
    Tree::insert_before(header_, Tree::next_node(&below), &record);
    ++count_;
  }
  void Erase(Record& record) noexcept {
    Tree::erase(header_, &record);
    --count_;
  }

  Record* First() const noexcept { return NotHeader(Tree::begin_node(header_)); }
  Record* Next(Record& record) const noexcept { return NotHeader(Tree::next_node(&record)); }

 private:
  using Traits = TreeTraits<Record, &Record::by_address>;

  Record* NotHeader(Record* record) const noexcept { return record != header_ ? record : nullptr; }

  Record* header_ = nullptr;
  uint64_t count_ = 0;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_LIVE_INDEX_H_
