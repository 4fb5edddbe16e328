// What a CompactingHeap is asked and what it answers.
#ifndef GRANARY_MEMORY_REGION_HEAP_TYPES_H_
#define GRANARY_MEMORY_REGION_HEAP_TYPES_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "memory/region/region_types.h"

namespace granary {

class MemoryBudget;
class SystemCalls;

// Names a block of one heap, wherever it lies. Once the block is freed the handle is stale, and
// refused, for good: a slot whose generations are used up is not used again. Made without
// arguments it names nothing.
struct BlockHandle {
  uint32_t index = 0;
  uint32_t generation = 0;

  friend bool operator==(const BlockHandle&, const BlockHandle&) = default;
};

// How the bytes of a new block may lie.
enum class Placement : uint8_t {
  kContiguous,       // In one range, or the request is refused.
  kContiguousFirst,  // In one range if there is one; otherwise in several, the largest first.
};

// --- Defragmentation
// ------------------------------------------------------------------------------

// How much one call may do. It stops before the first move that would exceed it, so that what is
// moved is never more; a block that is larger than all of `bytes` is moved in parts, over several
// calls, where it goes into a hole below it and is not typed, and otherwise stays.
//
// Finding a move takes time too: 32 blocks are looked at and left where they are, and 4 more for
// each move that the budget allows, or one for every 512 bytes, whichever are fewer.
//
// So does giving memory back to the system, about twice as much as copying it: a call gives back at
// most 16 KiB, and half of what is left of its bytes. Without a limit of bytes it gives back all.
struct MoveBudget {
  static constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();
  // What a move costs beside its bytes, in bytes that could have been copied meanwhile.
  static constexpr uint64_t kMoveBytes = 16384;

  uint64_t bytes = kNoLimit;
  uint64_t moves = kNoLimit;
  // Looked at before each move, and before each 64 KiB that go back to the system; of a block that
  // is moved in parts, before each.
  std::optional<std::chrono::steady_clock::time_point> deadline = {};

  // Takes about as long as copying `bytes`, however small the blocks are.
  static constexpr MoveBudget Step(uint64_t bytes) noexcept {
    return {.bytes = bytes, .moves = 1 + bytes / kMoveBytes};
  }
};

// Reached when any of these is.
struct DefragGoal {
  // The heap's end divided by what its blocks hold, less one.
  double max_fragmentation = 0;
  // The heap's end, in bytes; 0 for none.
  uint64_t target_end_bytes = 0;
  // A contiguous block of so many bytes has room; 0 for none.
  uint64_t room_bytes = 0;
};

enum class DefragStop : uint8_t {
  kGoalReached,
  kBudget,       // The bytes or the moves are spent, or memory is left to give back.
  kDeadline,     // It has passed, with moves or memory left.
  kNoProgress,   // No move brings the goal nearer: blocks are pinned, or too large for the budget.
  kBusy,         // Another Defragment is running: this one was called by a MoveObserver.
  kOutOfMemory,  // A plan has no room for another move.
  kUnsupported,  // There is no memory to move bytes in; Plan() tells what to move.
};

// "goal reached", "budget", ...
const char* DefragStopName(DefragStop stop) noexcept;

struct DefragReport {
  DefragStop stop = DefragStop::kGoalReached;
  // Blocks, or pieces of scattered ones, that went from the top into holes; what was copied for
  // them, and by how much the end fell with it. The first phase.
  uint64_t evacuated_blocks = 0;
  uint64_t evacuated_bytes = 0;
  uint64_t evacuation_reclaimed_bytes = 0;
  // Those that were moved down to where the next one below ends. The second phase.
  uint64_t slid_blocks = 0;
  uint64_t slid_bytes = 0;
  // By how much the end fell, in all.
  uint64_t reclaimed_bytes = 0;
  // Moves that were begun and given up, as the block was pinned or freed meanwhile.
  uint64_t abandoned_moves = 0;
  // Of the blocks that were too large for MoveBudget::bytes, the largest; 0 if there was none.
  uint64_t needed_bytes = 0;
  double fragmentation_before = 0;
  double fragmentation_after = 0;

  uint64_t moved_blocks() const noexcept { return evacuated_blocks + slid_blocks; }
  uint64_t moved_bytes() const noexcept { return evacuated_bytes + slid_bytes; }
};

// A block, or a piece of a scattered one, and where it goes. `to` may overlap `from` only if it is
// below it. Offsets are in the heap; sizes are the bytes that have to be copied.
struct BlockMove {
  BlockHandle block;
  Range from;
  Range to;
};

// Is told of every move that a heap makes by itself, for those who hold addresses or have to wait
// for a device. May call the heap: what it frees or pins in BeforeMove is not moved.
class MoveObserver {
 public:
  virtual ~MoveObserver() = default;

  virtual void BeforeMove(const BlockMove& move) noexcept = 0;
  // The block is at `to`.
  virtual void AfterMove(const BlockMove& move) noexcept = 0;
  // The block was freed or pinned after BeforeMove, and is not at `to`.
  virtual void MoveAbandoned(const BlockMove& move) noexcept = 0;
};

// When a heap defragments itself, a step at a time, at the end of Allocate and Free.
struct AutomaticDefrag {
  bool enabled = false;
  // Begins above the one, and goes on until it is at the other.
  double begin_fragmentation = 0.25;
  double end_fragmentation = 0.10;
  // Not while the heap ends below.
  uint64_t min_end_bytes = uint64_t{1} << 20;
  // What a step may do: MoveBudget::Step.
  uint64_t step_bytes = uint64_t{64} << 10;
};

// --- The heap
// -------------------------------------------------------------------------------------

// What moves and destroys blocks whose bytes are not all there is to them. Static storage duration.
struct BlockOperations {
  // Makes at `to` what is at `from`, which is then raw memory again. They do not overlap.
  void (*move)(void* from, void* to, size_t bytes) noexcept = nullptr;
  // Called when the block is freed; nullptr for nothing.
  void (*destroy)(void* block, size_t bytes) noexcept = nullptr;
};

struct HeapOptions {
  // For reports of misuse. A string literal, or one that outlives the heap.
  const char* name = "heap";
  // The most that it may ever have; rounded down to the grain. Over a span, its size.
  uint64_t limit_bytes = 0;
  // The unit of space, a power of two. Blocks begin on a multiple of it.
  uint64_t grain = 16;
  // So many blocks, pieces of scattered blocks and planned moves may be there, fewer than 2^32 - 1.
  // Address space is set aside for them, 64 bytes each, and as much for free ranges.
  uint64_t max_blocks = uint64_t{1} << 24;
  // By so much it grows and shrinks, a multiple of 4096. Not over a span.
  uint64_t chunk_bytes = uint64_t{256} << 10;
  // Charged for the chunks that it has; outlives it. nullptr for none.
  MemoryBudget* budget = nullptr;
  AutomaticDefrag automatic = {};
  // A contiguous block that has no room, though enough is free, may move so many bytes to get it.
  uint64_t allocation_move_bytes = 0;
  // Outlives it. nullptr for none.
  MoveObserver* observer = nullptr;
  // Of handles: slots begin with it. For tests of what happens when generations are used up.
  uint32_t first_generation = 1;
  // Null for the real ones.
  SystemCalls* system_calls = nullptr;
};

// Bytes, and counts.
struct HeapStats {
  uint64_t limit_bytes = 0;
  // Behind the highest byte that is used.
  uint64_t end_bytes = 0;
  // What blocks asked for; what they hold, in whole grains, with what moves have reserved.
  uint64_t asked_bytes = 0;
  uint64_t used_bytes = 0;
  // limit_bytes - used_bytes.
  uint64_t free_bytes = 0;
  uint64_t largest_hole_bytes = 0;
  // What it has of the system: chunks, and what it knows of blocks.
  uint64_t held_bytes = 0;
  // Of these, what it knows of blocks. A budget is not charged for it.
  uint64_t record_bytes = 0;
  uint64_t blocks = 0;
  uint64_t scattered_blocks = 0;
  // Ranges that blocks consist of.
  uint64_t pieces = 0;
  // Slots of handles that will not be used again.
  uint64_t retired_slots = 0;
  // What end_bytes is more than what blocks hold, divided by the latter; 0 without blocks.
  double fragmentation = 0;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_HEAP_TYPES_H_
