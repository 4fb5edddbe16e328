// Partitions: what an operator has divided and not looked at yet.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_PARTITIONS_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_PARTITIONS_H_

#include <array>
#include <cstddef>

#include "integration/examples/query_engine/spill_file.h"

namespace granary::query_engine {

// A stack with room for all there can be: what was divided last is looked at first, so that no more
// than the lists of each level are in it. `Rows` is a list of spilled rows, or two that belong
// together.
template <class Rows>
class Partitions {
 public:
  // Sixteen to the power of this many is the number of parts that a key can be in.
  static constexpr size_t kLevelsMax = 8;

  struct Partition {
    Rows rows;
    size_t level;
  };

  bool empty() const noexcept { return count_ == 0; }
  void Push(const Rows& rows, size_t level) noexcept { partitions_[count_++] = {rows, level}; }
  Partition Pop() noexcept { return partitions_[--count_]; }

 private:
  std::array<Partition, kLevelsMax * SpillFile::kListsMax> partitions_;
  size_t count_ = 0;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_PARTITIONS_H_
