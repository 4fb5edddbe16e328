// HeapRecord and HeapRecords: what a CompactingHeap knows of a block, a piece or a move, in a cache
// line, and the table of them. Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_HEAP_RECORD_H_
#define GRANARY_MEMORY_REGION_HEAP_RECORD_H_

#include <boost/intrusive/set_hook.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include "memory/error.h"
#include "memory/system_memory.h"

namespace granary {

class SystemCalls;

namespace region {

// A range that is used. A contiguous block is one; a scattered block is one for its first piece and
// one for each other, linked.
struct HeapRecord {
  enum class State : uint8_t {
    kUnused,    // In the list of those that can be taken, or never taken.
    kBlock,     // A block, with its first piece. Only these have handles.
    kPiece,     // Another piece of a scattered block.
    kReserved,  // What a move needs of space beyond what the block has.
    kDoomed,    // Was freed while somebody may be copying it: stays until the move is resolved.
  };

  using Hook =
      boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>,
                                        boost::intrusive::link_mode<boost::intrusive::normal_link>>;

  Hook by_address;
  uint64_t offset;
  // Of this piece, as asked for.
  uint64_t bytes;
  // kBlock: of all pieces. Otherwise the number of the block, or of what a move moves.
  uint64_t block_bytes_or_owner;
  // The number of the next piece, or of the next unused record; 0 for none.
  uint32_t next;
  // Of the handle that is valid while it is a block, or will be when it is one again.
  uint32_t generation;
  // kBlock.
  uint32_t pins;
  // kBlock: index of its BlockOperations, 0 for plain bytes.
  uint8_t type;
  uint8_t alignment_log2;
  State state;
  // It is in the index of those that compaction leaves alone.
  bool is_parked : 1;
  // A move of it has begun.
  bool is_moving : 1;
};

static_assert(sizeof(HeapRecord) == 64);

// All records, in one mapping, by number from 1. Taking one cannot fail before there are as many as
// there may be, and allocates nothing.
class HeapRecords {
 public:
  static constexpr uint64_t kCountMax = std::numeric_limits<uint32_t>::max() - 1;

  static Expected<HeapRecords> Create(uint64_t count, uint32_t first_generation,
                                      SystemCalls* calls) {
    auto memory =
        SystemMemory::Reserve({.reserve_bytes = static_cast<size_t>(count + 1) * sizeof(HeapRecord),
                               .alignment = 0,
                               .commit = CommitPolicy::kOnTouch,
                               .system_calls = calls});
    if (!memory) return tl::unexpected(std::move(memory.error()));
    return HeapRecords(std::move(*memory), static_cast<uint32_t>(count), first_generation);
  }

  HeapRecord& At(uint32_t number) const noexcept { return records_[number]; }
  uint32_t NumberOf(const HeapRecord& record) const noexcept {
    return static_cast<uint32_t>(&record - records_);
  }

  // Numbers from 1 to this have been taken at some time.
  uint32_t touched() const noexcept { return touched_; }
  uint32_t retired() const noexcept { return retired_; }

  // 0 if all are taken. Everything but the generation is to be set.
  uint32_t Take() noexcept {
    if (free_ != 0) {
      const uint32_t number = free_;
      free_ = records_[number].next;
      return number;
    }
    if (touched_ == count_) return 0;
    ++touched_;
    ::new (static_cast<void*>(&records_[touched_])) HeapRecord{};
    records_[touched_].generation = first_generation_;
    return touched_;
  }

  // The handle of the block that it is is stale from now on.
  void EndGeneration(HeapRecord& record) noexcept { ++record.generation; }

  // One whose last generation has ended is retired: 0 comes behind it, and no handle has that.
  void PutBack(HeapRecord& record) noexcept {
    record.state = HeapRecord::State::kUnused;
    if (record.generation == 0) {
      ++retired_;
      return;
    }
    record.next = free_;
    free_ = NumberOf(record);
  }

 private:
  HeapRecords(SystemMemory memory, uint32_t count, uint32_t first_generation) noexcept
      : memory_(std::move(memory)),
        // Nothing is there yet; each is made when it is first taken.
        records_(reinterpret_cast<HeapRecord*>(memory_.data())),
        count_(count),
        first_generation_(first_generation) {}

  SystemMemory memory_;
  HeapRecord* records_;
  uint32_t count_;
  uint32_t first_generation_;
  uint32_t touched_ = 0;
  uint32_t retired_ = 0;
  // The first of the list; 0 for none.
  uint32_t free_ = 0;
};

}  // namespace region
}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_HEAP_RECORD_H_
