// What a CompactingHeap says of errors. Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_HEAP_ERROR_H_
#define GRANARY_MEMORY_REGION_HEAP_ERROR_H_

#include <string>
#include <utility>

#include "memory/error.h"
#include "memory/region/heap_types.h"

namespace granary::region {

inline Error MakeHeapError(ErrorCode code, std::string message, const char* where) {
  return {.code = code, .message = std::move(message), .where = where};
}

inline std::string NameOf(BlockHandle block) {
  return "block " + std::to_string(block.index) + ", generation " +
         std::to_string(block.generation);
}

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_HEAP_ERROR_H_
