// LiveIndex: the live ranges of a tracked region, or the pending ones of another. Internal to
// memory/region.
#ifndef GRANARY_MEMORY_REGION_LIVE_INDEX_H_
#define GRANARY_MEMORY_REGION_LIVE_INDEX_H_

#include "memory/region/address_index.h"
#include "memory/region/range_record.h"

namespace granary::region {

template <class Units>
class LiveIndex final : public AddressIndex<Units> {
 public:
  using Record = RangeRecord<Units>;

  // The one that `offset` is in, nullptr for none.
  Record* Containing(Units offset) const noexcept {
    Record* const found = this->AtOrBelow(offset);
    return found != nullptr && offset < found->end() ? found : nullptr;
  }

  // Whether a part of [offset, offset + length), which is not empty, is in one.
  bool Overlaps(Units offset, Units length) const noexcept {
    const Record* const found = this->AtOrBelow(static_cast<Units>(offset + (length - 1)));
    return found != nullptr && found->end() > offset;
  }
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_LIVE_INDEX_H_
