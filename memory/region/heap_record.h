// HeapRecord: what a CompactingHeap knows of a block, a piece or a move, in a cache line. Internal
// to memory/region; HeapRecords has them.
#ifndef GRANARY_MEMORY_REGION_HEAP_RECORD_H_
#define GRANARY_MEMORY_REGION_HEAP_RECORD_H_

#include <boost/intrusive/set_hook.hpp>
#include <cstddef>
#include <cstdint>

namespace granary::region {

// A range that is used. A contiguous block is one; a scattered block is one for its first piece and
// one for each other, linked.
struct HeapRecord {
  enum class State : uint8_t {
    kUnused,    // Can be taken, or is retired. 0: what a page that went back reads as.
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
  // The number of the next piece; 0 for none.
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

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_HEAP_RECORD_H_
