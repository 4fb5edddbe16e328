#include "memory/region/blob_loading.h"

#include <algorithm>
#include <new>
#include <string>
#include <vector>

namespace granary::blob {

namespace {

constexpr const char* kWhere = "blob::LoadCheckpoint";

std::string Name(const Extent& extent) {
  return std::to_string(extent.bytes) + " bytes at " + std::to_string(extent.offset);
}

// With what it is sorted by at hand: extents are all over the memory.
struct Placed {
  explicit Placed(Extent& its) noexcept
      : order(its.offset * 2 + (its.bytes != 0 ? 1 : 0)), extent(&its) {}

  // As ByAddress has it. Offsets are below 2^60.
  uint64_t order;
  Extent* extent;
};

// All of them, in the order of their addresses.
std::vector<Placed> Sorted(Directory& directory, const BlobTable& table) {
  std::vector<Placed> sorted;
  sorted.reserve(table.blobs() + uint64_t{2} * (table.slots() / kFanout) + kLevelsMax);
  for (uint32_t index = 0; index < table.slots(); ++index) {
    if (table.At(index).is_live()) sorted.emplace_back(table.At(index));
  }
  directory.ForEachLoaded([&](Node& node) { sorted.emplace_back(node); });
  std::sort(sorted.begin(), sorted.end(),
            [](const Placed& a, const Placed& b) { return a.order < b.order; });
  return sorted;
}

}  // namespace

Expected<void> LoadCheckpoint(const Header& header, const Backing& backing, Directory& directory,
                              Catalog& catalog) {
  // The last range may end within its last grain.
  if (header.used_bytes > backing.capacity_bytes() + header.grain) {
    return Corrupt(catalog.name(),
                   "checkpoint " + std::to_string(header.checkpoint) + " uses " +
                       std::to_string(header.used_bytes) + " bytes, and the file has " +
                       std::to_string(backing.capacity_bytes()),
                   kWhere);
  }
  BlobTable& table = catalog.table();
  if (auto done = directory.Load(header, backing, catalog.name(), table); !done) return done;
  if (table.blobs() != header.blobs || table.blob_bytes() != header.blob_bytes) {
    return Corrupt(catalog.name(),
                   "there are " + std::to_string(table.blobs()) + " blobs of " +
                       std::to_string(table.blob_bytes()) + " bytes, and the header says " +
                       std::to_string(header.blobs) + " of " + std::to_string(header.blob_bytes),
                   kWhere);
  }
  std::vector<Placed> sorted;
  try {
    sorted = Sorted(directory, table);
  } catch (const std::bad_alloc&) {
    return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                                .message = catalog.name() + ": no memory to sort " +
                                           std::to_string(table.blobs()) + " blobs",
                                .where = kWhere});
  }
  Extents& extents = catalog.extents();
  uint64_t directory_bytes = 0;
  const Extent* before = nullptr;
  for (const Placed& placed : sorted) {
    Extent* const extent = placed.extent;
    if (before != nullptr && extents.RangeOf(*before).end() > extent->offset &&
        extent->bytes != 0) {
      return Corrupt(catalog.name(), Name(*before) + " and " + Name(*extent) + " overlap", kWhere);
    }
    before = extent->bytes != 0 ? extent : before;
    extents.Append(*extent);
    if (extent->is_node) directory_bytes += extents.RoundUp(extent->bytes);
  }
  if (extents.space_bytes() != header.used_bytes) {
    return Corrupt(catalog.name(),
                   "blobs and nodes take " + std::to_string(extents.space_bytes()) +
                       " bytes, and the header says " + std::to_string(header.used_bytes),
                   kWhere);
  }
  if (before != nullptr && before->offset + before->bytes > backing.capacity_bytes()) {
    return Corrupt(catalog.name(),
                   "it ends before its last blob or node, " + Name(*before) + " of the region",
                   kWhere);
  }
  directory.CountSpace(directory_bytes);
  table.ListFreeSlots();
  return {};
}

}  // namespace granary::blob
