// What hands out ranges of one large region: granary's over offsets, and Boost.Interprocess's over
// memory.
//
// An implementation has a Handle, which is what its user has to remember of a live allocation, and
// IsNull() of one that was refused; Allocate(bytes, alignment), Free(handle), Resize(handle,
// bytes), which succeeds in place or changes nothing, and EndOf(handle, bytes), the offset at which
// an allocation of so many bytes ends.
#ifndef GRANARY_BENCH_REGION_REGIONS_H_
#define GRANARY_BENCH_REGION_REGIONS_H_

#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/offset_ptr.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>
#include <cstddef>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "bench/program.h"
#include "bench/region/mapping.h"
#include "memory/region/region_allocator.h"

namespace granary::bench {

enum class RegionVariant { kDefault, kTracked, kLowest };

template <RegionVariant kVariant>
class GranaryRegion {
 public:
  static constexpr const char* kName = kVariant == RegionVariant::kDefault   ? "granary"
                                       : kVariant == RegionVariant::kTracked ? "granary_tracked"
                                                                             : "granary_lowest";
  using Handle = Range;

  explicit GranaryRegion(size_t bytes) : region_(Create(bytes)) {}

  static bool IsNull(const Handle& handle) { return handle.size == 0; }

  Handle Allocate(size_t bytes, size_t alignment) { return *region_.Allocate(bytes, alignment); }
  void Free(const Handle& handle) {
    if (region_.Free(handle) != FreeStatus::kOk) Die("a region refused to free what it gave");
  }
  bool Resize(Handle& handle, size_t bytes) {
    const OptionalRange resized = region_.Resize(handle, bytes);
    if (resized) handle = *resized;
    return resized.has_value();
  }

  size_t EndOf(const Handle& handle, size_t /*bytes*/) const { return handle.end(); }
  const RegionAllocator& allocator() const { return region_; }

 private:
  static RegionAllocator Create(size_t bytes) {
    auto region =
        RegionAllocator::Create(bytes, {.track_used = kVariant == RegionVariant::kTracked,
                                        .lowest_among_equals = kVariant == RegionVariant::kLowest});
    if (!region) Die(region.error().message);
    return *std::move(region);
  }

  RegionAllocator region_;
};

using Granary = GranaryRegion<RegionVariant::kDefault>;
using GranaryTracked = GranaryRegion<RegionVariant::kTracked>;
using GranaryLowest = GranaryRegion<RegionVariant::kLowest>;

// The algorithm under managed_shared_memory, without its mutex: a header before each allocation,
// and the tree in the free ranges.
template <class VoidPointer>
class BoostRbtreeRegion {
 public:
  static constexpr const char* kName =
      std::is_pointer_v<VoidPointer> ? "boost_rbtree" : "boost_rbtree_offset";
  using Handle = std::byte*;

  // It stands at the beginning of what it manages. Its destructor has nothing to do.
  explicit BoostRbtreeRegion(size_t bytes)
      : bytes_(bytes), mapping_(bytes), algorithm_(*new (mapping_.data()) Algorithm(bytes, 0)) {}

  static bool IsNull(Handle handle) { return handle == nullptr; }

  // It adds its header to sizes without looking whether they overflow.
  Handle Allocate(size_t bytes, size_t alignment) {
    if (bytes > bytes_) return nullptr;
    void* const allocated = alignment <= Algorithm::Alignment
                                ? algorithm_.allocate(bytes)
                                : algorithm_.allocate_aligned(bytes, alignment);
    return static_cast<Handle>(allocated);
  }
  void Free(Handle handle) { algorithm_.deallocate(handle); }
  bool Resize(Handle& handle, size_t bytes) {
    if (bytes > bytes_) return false;
    const size_t held = algorithm_.size(handle);
    size_t preferred = bytes;
    Handle reused = handle;
    if (bytes > held) {
      return algorithm_.template allocation_command<std::byte>(
                 boost::interprocess::expand_fwd | boost::interprocess::nothrow_allocation, bytes,
                 preferred, reused) != nullptr;
    }
    // It refuses where what would become free is too small for a header; then it stays as large.
    algorithm_.template allocation_command<std::byte>(
        boost::interprocess::shrink_in_place | boost::interprocess::nothrow_allocation, held,
        preferred, reused);
    return true;
  }

  size_t EndOf(Handle handle, size_t bytes) const {
    return static_cast<size_t>(handle - mapping_.data()) + bytes;
  }

 private:
  using Algorithm =
      boost::interprocess::rbtree_best_fit<boost::interprocess::null_mutex_family, VoidPointer>;

  size_t bytes_;
  Mapping mapping_;
  Algorithm& algorithm_;
};

using BoostRbtree = BoostRbtreeRegion<void*>;
using BoostRbtreeOffset = BoostRbtreeRegion<boost::interprocess::offset_ptr<void>>;

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REGION_REGIONS_H_
