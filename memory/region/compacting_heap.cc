#include "memory/region/compacting_heap.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "memory/misuse.h"
#include "memory/region/heap_error.h"
#include "memory/sanitizer.h"

namespace granary {

namespace {

// AddressSanitizer marks units of eight bytes.
constexpr uint64_t kMarkedGrainMin = 8;

}  // namespace

// --- Making -------------------------------------------------------------------------------------

CompactingHeap::CompactingHeap(const HeapOptions& options, region::HeapSpace space,
                               region::HeapRecords records, uint64_t max_alignment) noexcept
    : options_(options),
      max_alignment_(max_alignment),
      space_(std::move(space)),
      records_(std::move(records)),
      index_(options.grain) {}

Expected<std::unique_ptr<CompactingHeap>> CompactingHeap::Make(const HeapOptions& options,
                                                               Expected<region::HeapMemory> memory,
                                                               uint64_t max_alignment) {
  if (!memory) return tl::unexpected(std::move(memory.error()));
  auto space = region::HeapSpace::Create(std::move(*memory), options);
  if (!space) return tl::unexpected(std::move(space.error()));
  auto records = region::HeapRecords::Create(options.max_blocks, options.first_generation,
                                             options.system_calls);
  if (!records) return tl::unexpected(std::move(records.error()));
  return std::unique_ptr<CompactingHeap>(
      new CompactingHeap(options, std::move(*space), std::move(*records), max_alignment));
}

namespace {

Expected<void> CheckOptions(const HeapOptions& options, uint64_t limit_bytes) {
  constexpr const char* kWhere = "CompactingHeap::Create";
  const auto invalid = [&](std::string message) {
    return tl::unexpected(
        region::MakeHeapError(ErrorCode::kInvalidArgument, std::move(message), kWhere));
  };
  if (!std::has_single_bit(options.grain)) {
    return invalid("the grain, " + std::to_string(options.grain) + ", is no power of two");
  }
  if (limit_bytes < options.grain || limit_bytes > RegionAllocator::kSizeMax) {
    return invalid("the limit, " + std::to_string(limit_bytes) +
                   " bytes, is less than a grain or more than 2^63");
  }
  if (options.max_blocks == 0 || options.max_blocks > region::HeapRecords::kCountMax) {
    return invalid("max_blocks, " + std::to_string(options.max_blocks) + ", is 0 or above " +
                   std::to_string(region::HeapRecords::kCountMax));
  }
  if (options.first_generation == 0) return invalid("first_generation is 0");
  const AutomaticDefrag& automatic = options.automatic;
  // So that what is not a number is refused.
  const bool is_ordered = automatic.end_fragmentation >= 0 &&
                          automatic.begin_fragmentation >= automatic.end_fragmentation;
  if (automatic.enabled && (!is_ordered || automatic.step_bytes == 0)) {
    return invalid("automatic defragmentation begins at " +
                   std::to_string(automatic.begin_fragmentation) + ", ends at " +
                   std::to_string(automatic.end_fragmentation) + ", with steps of " +
                   std::to_string(automatic.step_bytes) + " bytes");
  }
  return {};
}

}  // namespace

Expected<std::unique_ptr<CompactingHeap>> CompactingHeap::Create(const HeapOptions& options) {
  if (auto valid = CheckOptions(options, options.limit_bytes); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  if (options.chunk_bytes == 0 || options.chunk_bytes % 4096 != 0) {
    return tl::unexpected(region::MakeHeapError(
        ErrorCode::kInvalidArgument,
        "chunk_bytes, " + std::to_string(options.chunk_bytes) + ", is no multiple of 4096",
        "CompactingHeap::Create"));
  }
  return Make(options, region::HeapMemory::Reserve(options), kMaxAlignment);
}

Expected<std::unique_ptr<CompactingHeap>> CompactingHeap::CreateOver(std::span<std::byte> memory,
                                                                     const HeapOptions& options) {
  if (auto valid = CheckOptions(options, memory.size()); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  if (memory.data() == nullptr || address % options.grain != 0) {
    return tl::unexpected(region::MakeHeapError(
        ErrorCode::kInvalidArgument,
        "the memory does not begin on a multiple of the grain, " + std::to_string(options.grain),
        "CompactingHeap::CreateOver"));
  }
  const uint64_t alignment = std::min(kMaxAlignment, uint64_t{1} << std::countr_zero(address));
  return Make(options, region::HeapMemory::Over(memory), alignment);
}

Expected<std::unique_ptr<CompactingHeap>> CompactingHeap::CreateOverOffsets(
    const HeapOptions& options) {
  if (auto valid = CheckOptions(options, options.limit_bytes); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  return Make(options, region::HeapMemory::None(options.limit_bytes), kMaxAlignment);
}

CompactingHeap::~CompactingHeap() {
  if (pins_ != 0) {
    AbortOnMisuse("heap '%s' ends while %llu pins are there", options_.name,
                  static_cast<unsigned long long>(pins_));
  }
  index_.ForEach([&](Record& record) {
    if (record.state != State::kBlock || record.type == 0) return;
    const BlockOperations& operations = *types_[record.type];
    if (operations.destroy != nullptr) {
      operations.destroy(space_.data() + record.offset, record.bytes);
    }
  });
}

// --- Records ------------------------------------------------------------------------------------

region::HeapRecord* CompactingHeap::Find(BlockHandle block) const noexcept {
  if (!records_.IsKnown(block.index)) return nullptr;
  Record& record = records_.At(block.index);
  // One that is being freed for the last time has the generation of no handle.
  const bool is_it = record.state == State::kBlock && record.generation == block.generation &&
                     block.generation != 0;
  return is_it ? &record : nullptr;
}

Expected<region::HeapRecord*> CompactingHeap::FindOrError(BlockHandle block,
                                                          const char* where) const {
  if (Record* const record = Find(block)) return record;
  return tl::unexpected(
      region::MakeHeapError(ErrorCode::kInvalidArgument,
                            "the handle of " + region::NameOf(block) +
                                ", is stale, or of another heap: no such block is here",
                            where));
}

region::HeapRecord& CompactingHeap::OwnerOf(Record& piece) const noexcept {
  return piece.state == State::kBlock
             ? piece
             : records_.At(static_cast<uint32_t>(piece.block_bytes_or_owner));
}

BlockHandle CompactingHeap::HandleOf(const Record& block) const noexcept {
  return {records_.NumberOf(block), block.generation};
}

// --- Allocating ---------------------------------------------------------------------------------

Expected<void> CompactingHeap::CheckRequest(uint64_t bytes, uint64_t alignment) const {
  constexpr const char* kWhere = "CompactingHeap::Allocate";
  if (bytes == 0) {
    return tl::unexpected(region::MakeHeapError(ErrorCode::kInvalidArgument,
                                                "a block of 0 bytes was asked for", kWhere));
  }
  if (!std::has_single_bit(alignment) || alignment > std::max(max_alignment_, options_.grain)) {
    return tl::unexpected(region::MakeHeapError(ErrorCode::kInvalidArgument,
                                                "the alignment, " + std::to_string(alignment) +
                                                    ", is no power of two, or above " +
                                                    std::to_string(max_alignment_),
                                                kWhere));
  }
  if (bytes > space_.limit_bytes() || space_.RoundUp(bytes) > space_.free_bytes()) {
    return tl::unexpected(
        region::MakeHeapError(ErrorCode::kOutOfMemory,
                              std::to_string(bytes) + " bytes were asked for, and " +
                                  std::to_string(space_.free_bytes()) + " of " +
                                  std::to_string(space_.limit_bytes()) + " are free",
                              kWhere));
  }
  return {};
}

Expected<BlockHandle> CompactingHeap::Allocate(uint64_t bytes, Placement placement,
                                               uint64_t alignment) {
  // A move in parts holds space that is worth more now.
  const bool is_scarce =
      bytes <= space_.limit_bytes() && space_.RoundUp(bytes) > space_.free_bytes();
  if (is_scarce && partial_.move.source != 0) CancelPartial();
  if (auto valid = CheckRequest(bytes, alignment); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  uint32_t number = records_.Take();
  if (number == 0 && partial_.move.source != 0) {
    CancelPartial();
    number = records_.Take();
  }
  if (number == 0) {
    return tl::unexpected(region::MakeHeapError(
        ErrorCode::kOutOfMemory,
        "max_blocks, " + std::to_string(options_.max_blocks) + ", are there, or were used up",
        "CompactingHeap::Allocate"));
  }
  Record& block = records_.At(number);
  block.bytes = bytes;
  block.block_bytes_or_owner = bytes;
  block.next = 0;
  block.pins = 0;
  block.type = 0;
  block.alignment_log2 = static_cast<uint8_t>(std::countr_zero(alignment));
  block.is_parked = false;
  block.is_moving = false;
  auto offset = TakeContiguous(bytes, alignment);
  if (!offset) {
    const bool may_scatter =
        placement == Placement::kContiguousFirst && alignment <= options_.grain;
    const Expected<void> scattered =
        may_scatter ? TakeScattered(block) : tl::unexpected(std::move(offset.error()));
    if (!scattered) {
      records_.PutBack(block);
      return tl::unexpected(scattered.error());
    }
    // One piece may do after all, where the system had refused before.
    if (block.next != 0) ++scattered_blocks_;
  } else {
    block.offset = *offset;
    index_.Insert(block);
    ++pieces_;
    MarkUsed(block.offset, bytes);
  }
  block.state = State::kBlock;
  asked_bytes_ += bytes;
  ++blocks_;
  const BlockHandle handle = HandleOf(block);
  StepIfDue();
  return handle;
}

Expected<uint64_t> CompactingHeap::TakeContiguous(uint64_t bytes, uint64_t alignment) {
  if (const auto hole = space_.TakeHole(bytes, alignment)) return *hole;
  const uint64_t end = space_.end_bytes();
  auto offset = space_.TakeAtEnd(bytes, alignment);
  if (offset) {
    // What alignment has left free below it.
    if (*offset != end) Disturbed();
    return offset;
  }
  const auto take_hole = [&]() -> std::optional<uint64_t> {
    if (const auto hole = space_.TakeHole(bytes, alignment)) return hole;
    if (partial_.move.source == 0) return std::nullopt;
    CancelPartial();
    return space_.TakeHole(bytes, alignment);
  };
  if (const auto hole = take_hole()) return *hole;
  if (options_.allocation_move_bytes == 0 || is_defragmenting_) return offset;
  const uint64_t room = alignment > options_.grain ? bytes + alignment - options_.grain : bytes;
  (void)Defragment({.bytes = options_.allocation_move_bytes}, {.room_bytes = room});
  if (const auto hole = take_hole()) return *hole;
  if (!space_.HasRoomAtEnd(bytes, alignment)) return offset;
  return space_.TakeAtEnd(bytes, alignment);
}

// The largest hole, or what is free above the end, whichever is larger; `bytes` of it at most.
Expected<uint64_t> CompactingHeap::TakeLargest(uint64_t bytes, uint64_t* taken) {
  const uint64_t hole = space_.largest_hole_bytes();
  const uint64_t above = space_.limit_bytes() - space_.end_bytes();
  const uint64_t wanted = space_.RoundUp(bytes);
  if (above > hole) {
    *taken = std::min(wanted, above);
    auto at_end = space_.TakeAtEnd(*taken, 1);
    // The budget or the system may have less.
    if (at_end || hole == 0) return at_end;
  }
  *taken = std::min(wanted, hole);
  const auto offset = space_.TakeHole(*taken, 1);
  if (offset) return *offset;
  return tl::unexpected(region::MakeHeapError(
      ErrorCode::kOutOfMemory, "no hole is left for " + std::to_string(bytes) + " bytes",
      "CompactingHeap::Allocate"));
}

Expected<void> CompactingHeap::TakeScattered(Record& block) {
  uint64_t left = block.block_bytes_or_owner;
  Record* last = nullptr;
  const auto undo = [&](Error error) {
    if (last != nullptr) {
      ForEachRecord(block, [&](Record& piece) {
        index_.Erase(piece);
        --pieces_;
        const Range held = HeldBy(piece);
        MarkUnused(held);
        space_.GiveBack(held);
        if (&piece != &block) records_.PutBack(piece);
      });
    }
    return tl::unexpected(std::move(error));
  };
  while (left > 0) {
    uint32_t number = records_.NumberOf(block);
    if (last != nullptr) {
      number = records_.Take();
      if (number == 0) {
        return undo(
            region::MakeHeapError(ErrorCode::kOutOfMemory,
                                  "max_blocks, " + std::to_string(options_.max_blocks) +
                                      ", are there: none is left for another piece of a block",
                                  "CompactingHeap::Allocate"));
      }
    }
    Record& piece = records_.At(number);
    uint64_t taken = 0;
    const auto offset = TakeLargest(left, &taken);
    if (!offset) {
      if (last != nullptr) records_.PutBack(piece);
      return undo(offset.error());
    }
    piece.offset = *offset;
    piece.bytes = std::min(left, taken);
    left -= piece.bytes;
    if (last != nullptr) {
      piece.state = State::kPiece;
      piece.block_bytes_or_owner = records_.NumberOf(block);
      piece.next = 0;
      piece.pins = 0;
      piece.type = 0;
      piece.alignment_log2 = 0;
      piece.is_parked = false;
      piece.is_moving = false;
      last->next = number;
    }
    last = &piece;
    index_.Insert(piece);
    ++pieces_;
    MarkUsed(piece.offset, piece.bytes);
  }
  return {};
}

Expected<BlockHandle> CompactingHeap::AllocateWith(const BlockOperations& operations,
                                                   uint64_t bytes, uint64_t alignment) {
  if (space_.data() == nullptr) {
    return tl::unexpected(region::MakeHeapError(ErrorCode::kUnsupported,
                                                "a heap of offsets has no memory for objects",
                                                "CompactingHeap::AllocateWith"));
  }
  if (auto valid = CheckRequest(bytes, alignment); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  const auto type = MakeTyped(operations, bytes, alignment);
  if (!type) return tl::unexpected(type.error());
  auto block = Allocate(bytes, Placement::kContiguous, alignment);
  if (block) Find(*block)->type = *type;
  return block;
}

Expected<uint8_t> CompactingHeap::MakeTyped(const BlockOperations& operations, uint64_t bytes,
                                            uint64_t alignment) {
  size_t type = 1;
  while (type < types_.size() && types_[type] != nullptr && types_[type] != &operations) ++type;
  if (type == types_.size()) {
    return tl::unexpected(region::MakeHeapError(
        ErrorCode::kUnsupported, "255 kinds of typed blocks are there, the most that may be",
        "CompactingHeap::AllocateWith"));
  }
  if (!scratch_.MakeRoom(bytes, alignment)) {
    return tl::unexpected(region::MakeHeapError(
        ErrorCode::kOutOfMemory,
        "no memory for moving typed blocks of " + std::to_string(bytes) + " bytes",
        "CompactingHeap::AllocateWith"));
  }
  types_[type] = &operations;
  return static_cast<uint8_t>(type);
}

// --- Freeing ------------------------------------------------------------------------------------

Expected<void> CompactingHeap::Free(BlockHandle block) {
  const auto dying = BeginFree(block);
  if (!dying) return tl::unexpected(dying.error());
  Destroy(**dying);
  EndFree(**dying);
  StepIfDue();
  return {};
}

Expected<region::HeapRecord*> CompactingHeap::BeginFree(BlockHandle block) {
  constexpr const char* kWhere = "CompactingHeap::Free";
  const auto found = FindOrError(block, kWhere);
  if (!found) return tl::unexpected(found.error());
  Record& record = **found;
  if (record.pins != 0) {
    return tl::unexpected(region::MakeHeapError(
        ErrorCode::kBusy,
        region::NameOf(block) + ", is pinned " + std::to_string(record.pins) + " times", kWhere));
  }
  if (partial_.move.source != 0 && &OwnerOf(records_.At(partial_.move.source)) == &record) {
    CancelPartial();
  }
  records_.EndGeneration(record);
  ++record.pins;
  ++pins_;
  return &record;
}

void CompactingHeap::Destroy(Record& block) noexcept {
  if (block.type == 0 || types_[block.type]->destroy == nullptr) return;
  types_[block.type]->destroy(space_.data() + block.offset, block.bytes);
}

void CompactingHeap::EndFree(Record& block) noexcept {
  --pins_;
  asked_bytes_ -= block.block_bytes_or_owner;
  --blocks_;
  if (block.next != 0) --scattered_blocks_;
  ForEachRecord(block, [&](Record& piece) { FreePiece(piece); });
  Disturbed();
}

void CompactingHeap::FreePiece(Record& piece) noexcept {
  --pieces_;
  if (piece.is_moving) {
    // Somebody may be copying it: its space is free when that has ended.
    piece.state = State::kDoomed;
    return;
  }
  index_.Erase(piece);
  const Range held = HeldBy(piece);
  freed_bytes_ += held.size;
  MarkUnused(held);
  space_.GiveBack(held);
  records_.PutBack(piece);
}

// --- Questions about a block --------------------------------------------------------------------

Expected<uint64_t> CompactingHeap::SizeOf(BlockHandle block) const {
  const auto found = FindOrError(block, "CompactingHeap::SizeOf");
  if (!found) return tl::unexpected(found.error());
  return (*found)->block_bytes_or_owner;
}

Expected<uint64_t> CompactingHeap::PiecesOf(BlockHandle block) const {
  const auto found = FindOrError(block, "CompactingHeap::PiecesOf");
  if (!found) return tl::unexpected(found.error());
  uint64_t count = 0;
  ForEachRecord(**found, [&](Record&) { ++count; });
  return count;
}

Expected<void> CompactingHeap::ForEachPiece(BlockHandle block,
                                            const std::function<void(Range)>& visit) const {
  const auto found = FindOrError(block, "CompactingHeap::ForEachPiece");
  if (!found) return tl::unexpected(found.error());
  ForEachRecord(**found, [&](Record& piece) { visit({piece.offset, piece.bytes}); });
  return {};
}

Expected<void> CompactingHeap::Gather(BlockHandle block) {
  constexpr const char* kWhere = "CompactingHeap::Gather";
  const auto found = FindOrError(block, kWhere);
  if (!found) return tl::unexpected(found.error());
  Record& head = **found;
  if (head.next == 0) return {};
  if (space_.data() == nullptr) {
    return tl::unexpected(region::MakeHeapError(
        ErrorCode::kUnsupported, "a heap of offsets cannot copy what is in a block", kWhere));
  }
  if (partial_.move.source != 0) CancelPartial();
  bool is_moving = false;
  ForEachRecord(head, [&](Record& piece) { is_moving |= piece.is_moving; });
  if (head.pins != 0 || is_moving) {
    return tl::unexpected(region::MakeHeapError(
        ErrorCode::kBusy, region::NameOf(block) + ", is pinned, or a plan has it", kWhere));
  }
  const auto offset = TakeContiguous(head.block_bytes_or_owner, 1);
  if (!offset) return tl::unexpected(offset.error());
  MarkUsed(*offset, head.block_bytes_or_owner);
  std::byte* to = space_.data() + *offset;
  ForEachRecord(head, [&](Record& piece) {
    std::memcpy(to, space_.data() + piece.offset, piece.bytes);
    to += piece.bytes;
    index_.Erase(piece);
    const Range held = HeldBy(piece);
    MarkUnused(held);
    space_.GiveBack(held);
    if (&piece == &head) return;
    --pieces_;
    records_.PutBack(piece);
  });
  head.offset = *offset;
  head.bytes = head.block_bytes_or_owner;
  head.next = 0;
  head.is_parked = false;
  index_.Insert(head);
  --scattered_blocks_;
  Disturbed();
  return {};
}

// --- Pins ---------------------------------------------------------------------------------------

Expected<HeapPin> CompactingHeap::Pin(BlockHandle block) {
  const auto bytes = PinBytes(block);
  if (!bytes) return tl::unexpected(bytes.error());
  return HeapPin(*this, block.index, *bytes);
}

Expected<std::span<std::byte>> CompactingHeap::PinBytes(BlockHandle block) {
  constexpr const char* kWhere = "CompactingHeap::Pin";
  const auto found = FindOrError(block, kWhere);
  if (!found) return tl::unexpected(found.error());
  Record& record = **found;
  if (record.pins == UINT32_MAX) {
    return tl::unexpected(region::MakeHeapError(
        ErrorCode::kBusy, region::NameOf(block) + ", is pinned 2^32 - 1 times", kWhere));
  }
  // What is written through the pin would not be seen where it is copied to.
  if (partial_.move.source != 0 && &OwnerOf(records_.At(partial_.move.source)) == &record) {
    CancelPartial();
  }
  ++record.pins;
  ++pins_;
  if (space_.data() == nullptr || record.next != 0) return std::span<std::byte>();
  return std::span<std::byte>(space_.data() + record.offset, record.bytes);
}

void CompactingHeap::Unpin(uint32_t number) noexcept {
  Record& block = records_.At(number);
  --pins_;
  if (--block.pins != 0) return;
  ForEachRecord(block, [&](Record& piece) {
    if (!piece.is_parked || piece.is_moving) return;
    index_.Unpark(piece);
    space_.segments().Forget(HeldBy(piece));
    Disturbed();
  });
}

// --- For memory checkers ------------------------------------------------------------------------

void CompactingHeap::MarkUsed(uint64_t offset, uint64_t bytes) const noexcept {
  if (space_.data() == nullptr) return;
  // A unit of AddressSanitizer's may have several blocks: then nothing can be marked.
  MarkAllocated(space_.data() + offset, bytes);
}

void CompactingHeap::MarkUnused(Range range) const noexcept {
  if (space_.data() == nullptr || options_.grain < kMarkedGrainMin) return;
  MarkFree(space_.data() + range.offset, range.size);
}

}  // namespace granary
