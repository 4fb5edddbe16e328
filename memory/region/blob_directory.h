// Directory: the tree of nodes through which a file's checkpoint finds its blobs. Internal to
// memory/region.
//
// A leaf tells of 128 slots, a node above it of 128 nodes, and up to five levels are enough for
// 2^31 slots. Every reference has the checksum of what it refers to, the header that of the root:
// so nothing that another checkpoint left there is taken for this one's.
//
// A checkpoint writes only what has changed: the leaves whose slots were touched and the nodes
// above them, in new places; the old ones stay until it is durable. So it costs, for k slots that
// were touched since the last one, at most k writes of up to 3 KiB for leaves, fewer where they are
// neighbours, and k/128 or so for what is above; n slots are never written for k changes. The free
// ranges are not written at all: they are what nothing refers to, and a list of them would be as
// long as there are holes, each time.
//
// Nodes are ranges of the same region. A node's place is taken before its bytes are made, children
// first, so that a parent's bytes are known when its turn comes: that answers which comes first,
// the free space or the list of it.
//
// Source: shadow paging, as in LMDB and ZFS; the hen and egg as in Realm's GroupWriter.
#ifndef GRANARY_MEMORY_REGION_BLOB_DIRECTORY_H_
#define GRANARY_MEMORY_REGION_BLOB_DIRECTORY_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "memory/error.h"
#include "memory/region/blob_backing.h"
#include "memory/region/blob_extent.h"
#include "memory/region/blob_format.h"
#include "memory/region/blob_space.h"
#include "memory/region/blob_table.h"
#include "memory/region/stable_array.h"

namespace granary::blob {

struct Node : Extent {
  Node() noexcept { is_node = 1; }

  uint32_t checksum = 0;
  uint8_t level = 0;
  // Not what the last checkpoint has. Then all nodes above it are so as well.
  bool is_dirty = false;
  // In the list of its level's dirty nodes.
  uint32_t next_dirty = 0;
  // Where the next checkpoint will have it, if that is decided already; and what it will be there.
  Range next_place = {};
  Reference next = {};
};

class Directory {
 public:
  // What a checkpoint's header says of it.
  struct Written {
    Reference root = {};
    // What blobs and nodes will take.
    uint64_t used_bytes = 0;
  };

  static Expected<Directory> Create(uint32_t max_slots, SystemCalls* calls);

  // Whether a checkpoint would be another than the last.
  bool is_dirty() const noexcept { return levels_ != 0 && nodes_[levels_ - 1][0].is_dirty; }
  // What the nodes of the last checkpoint take, in grains.
  uint64_t space_bytes() const noexcept { return space_bytes_; }

  // Makes sure that there are nodes for so many slots; changes nothing that a checkpoint writes.
  Expected<void> Reserve(uint32_t slots);
  // There are so many slots now; Reserve() has been called.
  void Include(uint32_t slots) noexcept;
  // What a slot says has changed.
  void Touch(uint32_t slot) noexcept { MarkDirty(0, slot / kFanout); }

  // The next checkpoint shall have this node at `place`, allocated since the last one.
  void Move(Node& node, Range place) noexcept;
  // Calls `visit(Range)` for what Move() has set aside.
  template <class Visit>
  void ForEachPlanned(const Visit& visit) const {
    for (uint32_t level = 0; level < levels_; ++level) {
      for (uint32_t at = dirty_[level]; at != kNone; at = nodes_[level][at].next_dirty) {
        if (nodes_[level][at].next_place.size != 0) visit(nodes_[level][at].next_place);
      }
    }
  }

  // Writes all dirty nodes to new places, chosen by `fit` where Move() has not. After an error none
  // of these is kept, and those that Move() set aside are free again.
  Expected<Written> Write(const BlobTable& table, const Extents& extents, Space& space,
                          Backing& backing, Fit fit);
  // Gives back what Write() or Move() took.
  void Undo(Space& space) noexcept;
  // What Write() wrote is `checkpoint` now.
  void Commit(BlobTable& table, Extents& extents, Space& space, uint64_t checkpoint) noexcept;

  // Reads what `header` refers to: slots into `table`, which has none yet. Extents are in no tree
  // yet; they lie within the region, but two may overlap. kCorrupt, kIo, kOutOfMemory.
  Expected<void> Load(const Header& header, const Backing& backing, const std::string& path,
                      BlobTable& table);
  // All of the `level`th of Load().
  template <class Visit>
  void ForEachLoaded(const Visit& visit) {
    for (uint32_t level = 0; level < levels_; ++level) {
      for (uint64_t i = 0; i < NodesOf(slots_, level); ++i) visit(nodes_[level][i]);
    }
  }
  // What all nodes take together.
  void CountSpace(uint64_t bytes) noexcept { space_bytes_ = bytes; }

 private:
  using Nodes = region::StableArray<Node>;

  static constexpr uint32_t kNone = UINT32_MAX;

  explicit Directory(std::array<Nodes, kLevelsMax> nodes) noexcept : nodes_(std::move(nodes)) {
    dirty_.fill(kNone);
  }

  // False if it was already.
  bool SetDirty(uint32_t level, uint32_t number) noexcept;
  // With all nodes above it.
  void MarkDirty(uint32_t level, uint32_t number) noexcept;
  uint32_t EntriesOf(uint32_t level, uint32_t number) const noexcept;
  // Of the next checkpoint; returns the length.
  size_t Encode(const BlobTable& table, uint32_t level, uint32_t number,
                NodeBuffer& buffer) const noexcept;
  Expected<void> WriteNode(const BlobTable& table, const Extents& extents, Space& space,
                           Backing& backing, Fit fit, uint32_t level, uint32_t number);
  Expected<void> LoadNode(const Header& header, const Backing& backing, const std::string& path,
                          BlobTable& table, uint32_t level, uint32_t number);
  Expected<void> DecodeLeaf(const Header& header, std::span<const std::byte> bytes,
                            const std::string& path, BlobTable& table, uint32_t number);

  std::array<Nodes, kLevelsMax> nodes_;
  // The first of each level's dirty ones.
  std::array<uint32_t, kLevelsMax> dirty_ = {};
  uint32_t slots_ = 0;
  uint32_t levels_ = 0;
  uint64_t space_bytes_ = 0;
};

}  // namespace granary::blob

#endif  // GRANARY_MEMORY_REGION_BLOB_DIRECTORY_H_
