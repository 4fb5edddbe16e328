#include "memory/region/blob_directory.h"

#include <algorithm>
#include <span>

#include "memory/crc32c.h"

namespace granary::blob {

Expected<Directory> Directory::Create(uint32_t max_slots, SystemCalls* calls) {
  std::array<Nodes, kLevelsMax> nodes;
  for (uint32_t level = 0; level < kLevelsMax; ++level) {
    auto made = Nodes::Create(NodesOf(max_slots, level), calls);
    if (!made) return tl::unexpected(std::move(made.error()));
    nodes[level] = std::move(*made);
  }
  return Directory(std::move(nodes));
}

Expected<void> Directory::Reserve(uint32_t slots) {
  for (uint32_t level = 0; level < LevelsOf(slots); ++level) {
    const uint64_t wanted = NodesOf(slots, level);
    if (wanted <= nodes_[level].size()) continue;
    if (auto grown = nodes_[level].Grow(wanted); !grown) return grown;
  }
  return {};
}

void Directory::Include(uint32_t slots) noexcept {
  const uint32_t levels = LevelsOf(slots);
  const uint32_t before = std::exchange(slots_, slots);
  // A new root has no node above it that would make it dirty.
  for (; levels_ < levels; ++levels_) (void)SetDirty(levels_, 0);
  for (uint32_t slot = before; slot < slots; ++slot) Touch(slot);
}

bool Directory::SetDirty(uint32_t level, uint32_t number) noexcept {
  Node& node = nodes_[level][number];
  if (node.is_dirty) return false;
  node.is_dirty = true;
  node.level = static_cast<uint8_t>(level);
  node.next_dirty = std::exchange(dirty_[level], number);
  return true;
}

void Directory::MarkDirty(uint32_t level, uint32_t number) noexcept {
  for (; level < levels_ && SetDirty(level, number); ++level) number /= kFanout;
}

void Directory::Move(Node& node, Range place) noexcept {
  MarkDirty(node.level, static_cast<uint32_t>(nodes_[node.level].IndexOf(node)));
  node.next_place = place;
}

uint32_t Directory::EntriesOf(uint32_t level, uint32_t number) const noexcept {
  const uint64_t below = level == 0 ? slots_ : NodesOf(slots_, level - 1);
  return static_cast<uint32_t>(std::min<uint64_t>(kFanout, below - uint64_t{number} * kFanout));
}

// --- Writing ------------------------------------------------------------------------------------

size_t Directory::Encode(const BlobTable& table, uint32_t level, uint32_t number,
                         NodeBuffer& buffer) const noexcept {
  const uint32_t entries = EntriesOf(level, number);
  const uint32_t first = number * kFanout;
  Encoder to(buffer.data());
  EncodeNodeName(to, {.level = level, .number = number, .entries = entries});
  if (level == 0) {
    for (uint32_t i = 0; i < entries; ++i) to.Put32(table.At(first + i).generation);
    for (uint32_t i = 0; i < entries; ++i) {
      const Blob& blob = table.At(first + i);
      if (!blob.is_live()) continue;
      to.Put64(blob.offset);
      to.Put64(blob.bytes);
      to.Put32(blob.checksum);
    }
  } else {
    for (uint32_t i = 0; i < entries; ++i) {
      const Node& child = nodes_[level - 1][first + i];
      const bool is_new = child.is_dirty;
      to.Put64(is_new ? child.next.offset : child.offset);
      to.Put32(static_cast<uint32_t>(is_new ? child.next.bytes : child.bytes));
      to.Put32(is_new ? child.next.checksum : child.checksum);
    }
  }
  return static_cast<size_t>(to.at() - buffer.data());
}

Expected<void> Directory::WriteNode(const BlobTable& table, const Extents& extents, Space& space,
                                    Backing& backing, Fit fit, uint32_t level, uint32_t number) {
  Node& node = nodes_[level][number];
  NodeBuffer buffer;
  const std::span<const std::byte> bytes(buffer.data(), Encode(table, level, number, buffer));
  if (node.next_place.size != extents.RoundUp(bytes.size())) {
    // Move() may have set aside what it no longer fits.
    if (node.next_place.size != 0) space.FreeOrLose(std::exchange(node.next_place, {}));
    auto place = space.Allocate(bytes.size(), fit);
    if (!place) return tl::unexpected(std::move(place.error()));
    node.next_place = *place;
  }
  node.next = {.offset = node.next_place.offset, .bytes = bytes.size(), .checksum = Crc32c(bytes)};
  return backing.Write(node.next.offset, bytes);
}

Expected<Directory::Written> Directory::Write(const BlobTable& table, const Extents& extents,
                                              Space& space, Backing& backing, Fit fit) {
  uint64_t used_bytes = extents.space_bytes();
  for (uint32_t level = 0; level < levels_; ++level) {
    for (uint32_t at = dirty_[level]; at != kNone; at = nodes_[level][at].next_dirty) {
      if (auto done = WriteNode(table, extents, space, backing, fit, level, at); !done) {
        Undo(space);
        return tl::unexpected(std::move(done.error()));
      }
      const Node& node = nodes_[level][at];
      used_bytes += node.next_place.size - extents.RoundUp(node.bytes);
    }
  }
  return Written{.root = nodes_[levels_ - 1][0].next, .used_bytes = used_bytes};
}

void Directory::Undo(Space& space) noexcept {
  for (uint32_t level = 0; level < levels_; ++level) {
    for (uint32_t at = dirty_[level]; at != kNone; at = nodes_[level][at].next_dirty) {
      Node& node = nodes_[level][at];
      if (node.next_place.size != 0) space.FreeOrLose(std::exchange(node.next_place, {}));
    }
  }
}

void Directory::Commit(BlobTable& table, Extents& extents, Space& space,
                       uint64_t checkpoint) noexcept {
  for (uint32_t level = 0; level < levels_; ++level) {
    uint32_t at = std::exchange(dirty_[level], kNone);
    for (; at != kNone; at = nodes_[level][at].next_dirty) {
      Node& node = nodes_[level][at];
      if (node.bytes != 0) {
        const Range old = extents.RangeOf(node);
        space_bytes_ -= old.size;
        extents.Erase(node);
        space.RetireOrLose(old, checkpoint);
      }
      node.offset = node.next.offset;
      node.set_bytes(node.next.bytes);
      node.checksum = node.next.checksum;
      node.is_checkpointed = 1;
      node.is_dirty = false;
      space_bytes_ += std::exchange(node.next_place, {}).size;
      extents.Insert(node);
      if (level != 0) continue;
      const uint32_t entries = EntriesOf(0, at);
      for (uint32_t i = 0; i < entries; ++i) table.At(at * kFanout + i).is_checkpointed = 1;
    }
  }
}

// --- Loading ------------------------------------------------------------------------------------

Expected<void> Directory::Load(const Header& header, const Backing& backing,
                               const std::string& path, BlobTable& table) {
  if (header.slots == 0) return {};
  if (auto made = Reserve(header.slots); !made) return made;
  if (auto made = table.GrowForLoading(header.slots); !made) return made;
  slots_ = header.slots;
  levels_ = LevelsOf(slots_);
  Node& root = nodes_[levels_ - 1][0];
  root.offset = header.root.offset;
  root.set_bytes(header.root.bytes);
  root.checksum = header.root.checksum;
  for (uint32_t level = levels_; level-- > 0;) {
    const auto nodes = static_cast<uint32_t>(NodesOf(slots_, level));
    for (uint32_t number = 0; number < nodes; ++number) {
      if (auto done = LoadNode(header, backing, path, table, level, number); !done) return done;
    }
  }
  return {};
}

Expected<void> Directory::LoadNode(const Header& header, const Backing& backing,
                                   const std::string& path, BlobTable& table, uint32_t level,
                                   uint32_t number) {
  constexpr const char* kWhere = "Directory::Load";
  Node& node = nodes_[level][number];
  const NodeName name = {.level = level, .number = number, .entries = EntriesOf(level, number)};
  const std::string whose = "node " + std::to_string(number) + " of level " + std::to_string(level);
  node.level = static_cast<uint8_t>(level);
  node.is_checkpointed = 1;
  if (node.bytes == 0 || node.bytes > kNodeBytesMax || node.offset % header.grain != 0 ||
      node.offset > header.region_bytes || node.bytes > header.region_bytes - node.offset) {
    return Corrupt(path,
                   whose + " is said to be " + std::to_string(node.bytes) + " bytes at " +
                       std::to_string(node.offset),
                   kWhere);
  }
  NodeBuffer buffer;
  const std::span<std::byte> bytes(buffer.data(), static_cast<size_t>(node.bytes));
  if (auto done = backing.Read(node.offset, bytes); !done) return done;
  if (Crc32c(bytes) != node.checksum) {
    return Corrupt(path,
                   whose + ", " + std::to_string(node.bytes) + " bytes at " +
                       std::to_string(node.offset) +
                       " of the region, has another checksum than the node above it says",
                   kWhere);
  }
  if (auto named = CheckNodeName(bytes, name, path); !named) return named;
  if (level == 0) return DecodeLeaf(header, bytes, path, table, number);
  if (bytes.size() != kNodeHeaderBytes + name.entries * kNodeEntryBytes) {
    return Corrupt(path, whose + " has another length than its entries", kWhere);
  }
  Decoder from(bytes.data() + kNodeHeaderBytes);
  for (uint32_t i = 0; i < name.entries; ++i) {
    Node& child = nodes_[level - 1][uint64_t{number} * kFanout + i];
    child.offset = from.Get64();
    child.bytes = from.Get32();
    child.checksum = from.Get32();
  }
  return {};
}

Expected<void> Directory::DecodeLeaf(const Header& header, std::span<const std::byte> bytes,
                                     const std::string& path, BlobTable& table, uint32_t number) {
  constexpr const char* kWhere = "Directory::Load";
  const uint32_t entries = EntriesOf(0, number);
  const uint32_t first = number * kFanout;
  Decoder from(bytes.data() + kNodeHeaderBytes);
  size_t live = 0;
  for (uint32_t i = 0; i < entries; ++i) {
    Blob& blob = table.At(first + i);
    blob.generation = from.Get32();
    if (blob.is_live()) ++live;
  }
  if (bytes.size() != kNodeHeaderBytes + entries * kGenerationBytes + live * kLeafEntryBytes) {
    return Corrupt(path, "leaf " + std::to_string(number) + " has another length than its blobs",
                   kWhere);
  }
  for (uint32_t i = 0; i < entries; ++i) {
    Blob& blob = table.At(first + i);
    if (!blob.is_live()) continue;
    blob.offset = from.Get64();
    const uint64_t length = from.Get64();
    blob.checksum = from.Get32();
    blob.is_checkpointed = 1;
    if (blob.offset % header.grain != 0 || blob.offset > header.region_bytes ||
        length > header.region_bytes - blob.offset || (length == 0 && blob.offset != 0)) {
      return Corrupt(path,
                     "blob " + BlobIdName(table.IdOf(blob)) + " is said to be " +
                         std::to_string(length) + " bytes at " + std::to_string(blob.offset),
                     kWhere);
    }
    table.Count(blob, length);
  }
  return {};
}

}  // namespace granary::blob
