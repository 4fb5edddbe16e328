// Reading a checkpoint. Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_BLOB_LOADING_H_
#define GRANARY_MEMORY_REGION_BLOB_LOADING_H_

#include "memory/error.h"
#include "memory/region/blob_backing.h"
#include "memory/region/blob_catalog.h"
#include "memory/region/blob_directory.h"
#include "memory/region/blob_format.h"

namespace granary::blob {

// Fills `catalog` and `directory`, which are empty, with what `header` refers to, and believes
// nothing: that ranges lie where they can, that none overlaps another, and that sums are those of
// the header. kCorrupt, kIo, kOutOfMemory. O(n log n).
Expected<void> LoadCheckpoint(const Header& header, const Backing& backing, Directory& directory,
                              Catalog& catalog);

}  // namespace granary::blob

#endif  // GRANARY_MEMORY_REGION_BLOB_LOADING_H_
