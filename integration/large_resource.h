// LargeResource: an engine's blocks that no page holds, charged for as long as the process has
// their memory.
//
// Up to 1 MiB they come from a region: side by side, to 64 bytes, in chunks that many of them
// share. Larger ones are mappings of their own. What is free in either is kept, as to fault its
// pages in again takes longer than most uses of it, and goes when anybody needs memory.
//
// Threading. Any thread. The budget, and so reclaimers, are asked with no lock held.
#ifndef GRANARY_INTEGRATION_LARGE_RESOURCE_H_
#define GRANARY_INTEGRATION_LARGE_RESOURCE_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "memory/error.h"
#include "memory/mapped_resource.h"
#include "memory/memory_budget.h"
#include "memory/memory_resource.h"
#include "memory/region/shared_region_resource.h"

namespace granary {

class LargeResource final : public MemoryResource {
 public:
  // Above it a block is a mapping.
  static constexpr size_t kRegionMax = size_t{1} << 20;
  static constexpr size_t kMaxAlignment = MappedResource::kPageBytes;

  // The region is charged to one budget and mappings to another, so that each is asked for what is
  // free in it when the other needs memory; both outlive it. `limit_bytes` is what they allow:
  // address space for as much is set aside for each of the region's shards. kOutOfMemory.
  static Expected<std::unique_ptr<LargeResource>> Create(MemoryBudget& region_budget,
                                                         MemoryBudget& mappings_budget,
                                                         size_t limit_bytes) {
    auto region =
        SharedRegionResource::Create({.name = region_budget.name(),
                                      .shard_bytes = (limit_bytes / kChunkBytes + 1) * kChunkBytes,
                                      .chunk_bytes = kChunkBytes,
                                      .budget = &region_budget,
                                      .region = {.grain = kGrainBytes}});
    if (!region) return tl::unexpected(std::move(region.error()));
    return std::unique_ptr<LargeResource>(new LargeResource(mappings_budget, std::move(*region)));
  }

  // What a block of `bytes` takes.
  static size_t BlockBytes(size_t bytes) noexcept {
    return bytes <= kRegionMax ? AlignUp(bytes, kGrainBytes) : MappedResource::BlockBytes(bytes);
  }

  using MemoryResource::TryAllocate;
  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override {
    ForgetRefusal();
    return For(bytes).TryAllocate(bytes, alignment);
  }
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override {
    if ((old_bytes <= kRegionMax) != (new_bytes <= kRegionMax)) return false;
    return For(old_bytes).TryResize(p, old_bytes, new_bytes, alignment);
  }

  // Gives all free memory back to the system; returns how many bytes that were.
  size_t Trim() noexcept override { return mappings_.Trim() + region_->Trim(); }

  // used_bytes: the blocks; held_bytes: what is free too.
  MemoryStats Stats() const noexcept override {
    const MemoryStats a = region_->Stats();
    const MemoryStats b = mappings_.Stats();
    return {.asked_bytes = a.asked_bytes + b.asked_bytes,
            .used_bytes = a.used_bytes + b.used_bytes,
            .held_bytes = a.held_bytes + b.held_bytes};
  }

  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override {
    if (region_->budget()->has_refused()) region_->ThrowRefusal(bytes, alignment);
    mappings_.ThrowRefusal(bytes, alignment);
  }

  // Whichever of the two budgets refused the thread's last request, if one did.
  const MemoryBudget& refused_budget() const noexcept {
    return region_->budget()->has_refused() ? *region_->budget() : mappings_.budget();
  }
  void ForgetRefusal() const noexcept {
    region_->budget()->ForgetRefusal();
    mappings_.budget().ForgetRefusal();
  }
  SharedRegionResource& region() noexcept { return *region_; }
  MappedResource& mappings() noexcept { return mappings_; }

 private:
  static constexpr size_t kGrainBytes = 64;
  // The most that each shard has more than it needs, but for what is free between its blocks.
  static constexpr size_t kChunkBytes = size_t{256} << 10;

  LargeResource(MemoryBudget& mappings_budget,
                std::unique_ptr<SharedRegionResource> region) noexcept
      : MemoryResource(Deallocation::kFrees, kMaxAlignment),
        region_(std::move(region)),
        mappings_(mappings_budget) {}

  MemoryResource& For(size_t bytes) noexcept {
    if (bytes <= kRegionMax) return *region_;
    return mappings_;
  }
  void do_deallocate(void* p, size_t bytes, size_t alignment) override {
    For(bytes).deallocate(p, bytes, alignment);
  }

  const std::unique_ptr<SharedRegionResource> region_;
  MappedResource mappings_;
};

}  // namespace granary

#endif  // GRANARY_INTEGRATION_LARGE_RESOURCE_H_
