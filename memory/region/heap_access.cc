// What is in the blocks of a CompactingHeap.
#include <algorithm>
#include <cstring>
#include <string>

#include "memory/region/compacting_heap.h"
#include "memory/region/heap_error.h"

namespace granary {

template <class Copy>
Expected<void> CompactingHeap::ForBytes(BlockHandle block, uint64_t offset, uint64_t bytes,
                                        bool writes, const char* where, const Copy& copy) const {
  const auto found = FindOrError(block, where);
  if (!found) return tl::unexpected(found.error());
  Record& head = **found;
  const uint64_t size = head.block_bytes_or_owner;
  if (offset > size || bytes > size - offset) {
    return tl::unexpected(region::MakeHeapError(
        ErrorCode::kInvalidArgument,
        std::to_string(bytes) + " bytes at " + std::to_string(offset) + " lie outside " +
            region::NameOf(block) + ", which has " + std::to_string(size),
        where));
  }
  if (space_.data() == nullptr || head.type != 0) {
    return tl::unexpected(region::MakeHeapError(
        space_.data() == nullptr ? ErrorCode::kUnsupported : ErrorCode::kInvalidArgument,
        space_.data() == nullptr ? std::string("a heap of offsets has no bytes")
                                 : region::NameOf(block) + ", is an object, not bytes",
        where));
  }
  uint64_t piece_begin = 0;
  uint64_t done = 0;
  for (Record* piece = &head; done < bytes; piece = &records_.At(piece->next)) {
    const uint64_t skipped = offset + done - piece_begin;
    piece_begin += piece->bytes;
    if (skipped >= piece->bytes) continue;
    const uint64_t here = std::min(bytes - done, piece->bytes - skipped);
    copy(space_.data() + piece->offset + skipped, done, here);
    const bool is_copied = records_.NumberOf(*piece) == partial_.move.source;
    if (writes && is_copied && skipped < partial_.copied_bytes) {
      copy(space_.data() + partial_.move.to + skipped, done,
           std::min(here, partial_.copied_bytes - skipped));
    }
    done += here;
  }
  return {};
}

Expected<void> CompactingHeap::Read(BlockHandle block, uint64_t offset,
                                    std::span<std::byte> out) const {
  return ForBytes(block, offset, out.size(), /*writes=*/false, "CompactingHeap::Read",
                  [&](const std::byte* at, uint64_t done, uint64_t bytes) {
                    std::memcpy(out.data() + done, at, bytes);
                  });
}

Expected<void> CompactingHeap::Write(BlockHandle block, uint64_t offset,
                                     std::span<const std::byte> bytes) {
  return ForBytes(block, offset, bytes.size(), /*writes=*/true, "CompactingHeap::Write",
                  [&](std::byte* at, uint64_t done, uint64_t count) {
                    std::memcpy(at, bytes.data() + done, count);
                  });
}

Expected<void> CompactingHeap::Fill(BlockHandle block, uint64_t offset, uint64_t bytes,
                                    std::byte value) {
  return ForBytes(block, offset, bytes, /*writes=*/true, "CompactingHeap::Fill",
                  [&](std::byte* at, uint64_t, uint64_t count) {
                    std::memset(at, std::to_integer<int>(value), count);
                  });
}

Expected<void> CompactingHeap::Assign(BlockHandle block, std::span<const std::byte> bytes) {
  if (auto written = Write(block, 0, bytes); !written) return written;
  return Fill(block, bytes.size(), Find(block)->block_bytes_or_owner - bytes.size(), std::byte{0});
}

}  // namespace granary
