// What a CompactingHeap says of itself.
#include <algorithm>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "memory/region/compacting_heap.h"

namespace granary {

HeapStats CompactingHeap::Stats() const noexcept {
  return {.limit_bytes = space_.limit_bytes(),
          .end_bytes = space_.end_bytes(),
          .asked_bytes = asked_bytes_,
          .used_bytes = space_.used_bytes(),
          .free_bytes = space_.free_bytes(),
          .largest_hole_bytes = space_.largest_hole_bytes(),
          .held_bytes = space_.memory().held_bytes() + records_.held_bytes(),
          .record_bytes = records_.held_bytes(),
          .blocks = blocks_,
          .scattered_blocks = scattered_blocks_,
          .pieces = pieces_,
          .retired_slots = records_.retired(),
          .fragmentation = Fragmentation()};
}

Expected<void> CompactingHeap::Validate() {
  const auto broken = [](std::string what) {
    return tl::unexpected(Error{.code = ErrorCode::kCorrupt,
                                .message = "the heap is damaged: " + std::move(what),
                                .where = "CompactingHeap::Validate"});
  };
  if (auto valid = space_.region().Validate(); !valid) return valid;
  std::vector<Range> used;
  uint64_t used_bytes = 0;
  uint64_t asked_bytes = 0;
  uint64_t blocks = 0;
  uint64_t scattered = 0;
  uint64_t pieces = 0;
  uint64_t pins = 0;
  uint64_t reserved = 0;
  std::string wrong;
  index_.ForEach([&](Record& record) {
    const Range held = HeldBy(record);
    used.push_back(held);
    used_bytes += held.size;
    if (record.state == State::kReserved) reserved += record.bytes;
    if (record.state == State::kUnused) wrong = "an unused record is in the index";
    if (record.state == State::kBlock || record.state == State::kPiece) ++pieces;
    if (record.is_moving && !record.is_parked) wrong = "a block that moves is not parked";
    if (record.state != State::kBlock) return;
    ++blocks;
    scattered += record.next != 0;
    asked_bytes += record.block_bytes_or_owner;
    pins += record.pins;
    uint64_t sum = 0;
    ForEachRecord(record, [&](Record& piece) {
      sum += piece.bytes;
      if (&OwnerOf(piece) != &record) wrong = "a piece has another owner";
    });
    if (sum != record.block_bytes_or_owner) wrong = "a block's pieces do not add up";
  });
  if (!wrong.empty()) return broken(std::move(wrong));
  std::sort(used.begin(), used.end(),
            [](const Range& a, const Range& b) { return a.offset < b.offset; });
  // What the region calls used is exactly what the index has.
  size_t next = 0;
  bool is_same = true;
  space_.region().ForEachUsed([&](Range range) {
    uint64_t at = range.offset;
    while (at < range.end()) {
      if (next == used.size() || used[next].offset != at || used[next].size == 0) {
        is_same = false;
        return;
      }
      at = used[next++].end();
    }
    is_same &= at == range.end();
  });
  if (!is_same || next != used.size()) return broken("index and region differ");
  if (!used.empty() && used.back().end() != space_.end_bytes()) {
    return broken("the end is not that of the highest block");
  }
  if (used_bytes != space_.used_bytes()) return broken("the sum of used bytes is wrong");
  if (asked_bytes != asked_bytes_) return broken("the sum of asked bytes is wrong");
  if (blocks != blocks_ || scattered != scattered_blocks_ || pieces != pieces_) {
    return broken("a count is wrong");
  }
  if (reserved != reserved_bytes_) return broken("the sum of reserved bytes is wrong");
  if (pins != pins_) return broken("the count of pins is wrong");
  if (!records_.IsConsistent(used.size())) return broken("what is known of records is wrong");
  return {};
}

}  // namespace granary
