#include "memory/region/shared_region_resource.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "memory/misuse.h"
#include "memory/sanitizer.h"
#include "memory/system_calls.h"

namespace granary {

namespace {

constexpr size_t kDefaultShardsMax = 8;

Error Invalid(std::string message) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = std::move(message),
          .where = "SharedRegionResource::Create"};
}

// Threads are numbered as they come.
size_t ThreadNumber() noexcept {
  static std::atomic<size_t> next{0};
  thread_local const size_t number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

size_t AtLeastOne(size_t bytes) noexcept { return bytes + (bytes == 0); }

}  // namespace

struct alignas(64) SharedRegionResource::Shard {
  mutable std::mutex mutex;
  // Made before anybody else sees it.
  std::optional<region::RegionHeap> heap;
};

SharedRegionResource::SharedRegionResource(const SharedRegionOptions& options, SystemMemory memory,
                                           std::unique_ptr<Shard[]> shards,
                                           size_t shard_count) noexcept
    : MemoryResource(Deallocation::kFrees, std::min(kMaxAlignment, options.shard_bytes)),
      name_(options.name),
      shard_bytes_(options.shard_bytes),
      grain_(options.region.grain),
      budget_(options.budget),
      memory_(std::move(memory)),
      shards_(std::move(shards)),
      shard_count_(shard_count) {
  MarkFree(memory_.data(), shard_bytes_ * shard_count_);
}

Expected<std::unique_ptr<SharedRegionResource>> SharedRegionResource::Create(
    const SharedRegionOptions& options) {
  const size_t chunk = options.chunk_bytes;
  if (auto valid = region::RegionHeap::CheckChunk(chunk, options.region.grain); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  if (options.shard_bytes == 0 || options.shard_bytes % chunk != 0) {
    return tl::unexpected(Invalid("shard_bytes, " + std::to_string(options.shard_bytes) +
                                  ", is no multiple of chunk_bytes, " + std::to_string(chunk)));
  }
  const size_t processors = std::max(std::thread::hardware_concurrency(), 1U);
  const size_t shards =
      options.shards != 0 ? options.shards : std::min(processors, kDefaultShardsMax);
  if (options.shard_bytes > SIZE_MAX / shards) {
    return tl::unexpected(Invalid(std::to_string(shards) + " shards of " +
                                  std::to_string(options.shard_bytes) +
                                  " bytes are more than there are addresses"));
  }
  SystemCalls& calls =
      options.system_calls != nullptr ? *options.system_calls : SystemCalls::Real();
  auto memory = SystemMemory::Reserve({.reserve_bytes = options.shard_bytes * shards,
                                       .alignment = kMaxAlignment,
                                       .system_calls = options.system_calls});
  if (!memory) return tl::unexpected(std::move(memory.error()));
  auto made = std::make_unique<Shard[]>(shards);
  for (size_t shard = 0; shard < shards; ++shard) {
    auto region = RegionAllocator::Create(options.shard_bytes, options.region, calls);
    if (!region) return tl::unexpected(std::move(region.error()));
    made[shard].heap.emplace(std::move(*region), chunk);
  }
  return std::unique_ptr<SharedRegionResource>(
      new SharedRegionResource(options, std::move(*memory), std::move(made), shards));
}

SharedRegionResource::~SharedRegionResource() {
  MarkAllocated(memory_.data(), shard_bytes_ * shard_count_);
  if (budget_ != nullptr) budget_->Release(Stats().held_bytes);
}

size_t SharedRegionResource::Home() const noexcept { return ThreadNumber() % shard_count_; }

size_t SharedRegionResource::ShardOf(const void* p) const noexcept {
  return static_cast<size_t>(static_cast<const std::byte*>(p) - memory_.data()) / shard_bytes_;
}

std::byte* SharedRegionResource::BaseOf(size_t shard) const noexcept {
  return memory_.data() + shard * shard_bytes_;
}

bool SharedRegionResource::Contains(const void* p) const noexcept {
  return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(memory_.data()) <
         shard_bytes_ * shard_count_;
}

// --- Allocating ---------------------------------------------------------------------------------

void* SharedRegionResource::TryAllocate(size_t bytes, size_t alignment) noexcept {
  if (!IsPowerOfTwo(alignment) || alignment > max_alignment() || bytes > shard_bytes_) {
    return nullptr;
  }
  if (void* const p = AllocateThere(AtLeastOne(bytes), alignment)) return p;
  if (budget_ != nullptr) budget_->ForgetRefusal();
  const size_t home = Home();
  for (size_t i = 0; i < shard_count_; ++i) {
    if (void* const p = AllocateIn((home + i) % shard_count_, AtLeastOne(bytes), alignment)) {
      return p;
    }
    // Another shard would ask for no less.
    if (budget_ != nullptr && budget_->has_refused()) return nullptr;
  }
  return nullptr;
}

void* SharedRegionResource::AllocateThere(size_t bytes, size_t alignment) noexcept {
  const size_t home = Home();
  const auto in = [&](size_t shard) -> void* {
    region::RegionHeap& heap = *shards_[shard].heap;
    const auto taken = heap.Take(bytes, alignment);
    if (taken.range.size == 0) return nullptr;
    if (taken.missing_bytes != 0) {
      heap.Undo(taken);
      return nullptr;
    }
    std::byte* const p = BaseOf(shard) + taken.range.offset;
    MarkAllocated(p, bytes);
    return p;
  };
  // Those that are locked come last.
  uint64_t skipped = 0;
  for (size_t i = 0; i < shard_count_; ++i) {
    const size_t shard = (home + i) % shard_count_;
    const std::unique_lock lock(shards_[shard].mutex, std::try_to_lock);
    if (!lock.owns_lock()) {
      skipped |= uint64_t{1} << (shard % 64);
    } else if (void* const p = in(shard)) {
      return p;
    }
  }
  for (size_t i = 0; skipped != 0 && i < shard_count_; ++i) {
    const size_t shard = (home + i) % shard_count_;
    if ((skipped >> (shard % 64) & 1) == 0) continue;
    const std::scoped_lock lock(shards_[shard].mutex);
    if (void* const p = in(shard)) return p;
  }
  return nullptr;
}

// What is taken is nobody else's while the budget is asked with no lock held, and its chunks stay
// there once they are. Two threads may charge for one chunk; whoever notes it second gives back.
void* SharedRegionResource::AllocateIn(size_t shard, size_t bytes, size_t alignment) noexcept {
  Shard& its = shards_[shard];
  std::unique_lock lock(its.mutex);
  const auto taken = its.heap->Take(bytes, alignment);
  if (taken.range.size == 0) return nullptr;
  if (taken.missing_bytes != 0) {
    if (budget_ == nullptr) {
      (void)its.heap->NoteThere(taken.range);
    } else {
      lock.unlock();
      const bool is_charged = budget_->TryCharge(taken.missing_bytes);
      lock.lock();
      if (!is_charged) {
        // Its marks stay: others have allocated since.
        (void)its.heap->Free(taken.range);
        return nullptr;
      }
      const size_t noted = its.heap->NoteThere(taken.range);
      lock.unlock();
      if (noted < taken.missing_bytes) budget_->Release(taken.missing_bytes - noted);
    }
  }
  std::byte* const p = BaseOf(shard) + taken.range.offset;
  MarkAllocated(p, bytes);
  return p;
}

bool SharedRegionResource::TryResize(void* p, size_t old_bytes, size_t new_bytes, size_t) noexcept {
  if (new_bytes > shard_bytes_ || !Contains(p)) return false;
  const size_t shard = ShardOf(p);
  Shard& its = shards_[shard];
  const Range range = {static_cast<uint64_t>(static_cast<std::byte*>(p) - BaseOf(shard)),
                       AtLeastOne(old_bytes)};
  std::unique_lock lock(its.mutex);
  const auto resized = its.heap->Resize(range, AtLeastOne(new_bytes));
  if (resized.range.size == 0) return false;
  if (resized.missing_bytes != 0) {
    // Memory that is elsewhere may do; this is no reason to ask anybody for some.
    if (budget_ != nullptr) {
      its.heap->UndoResize(range, resized);
      return false;
    }
    (void)its.heap->NoteThere(resized.range);
  }
  MarkFree(static_cast<std::byte*>(p) + new_bytes, std::max(old_bytes, new_bytes) - new_bytes);
  MarkAllocated(p, new_bytes);
  return true;
}

// --- Freeing ------------------------------------------------------------------------------------

FreeStatus SharedRegionResource::Free(void* p, size_t bytes) noexcept {
  if (!Contains(p)) return FreeStatus::kOutOfRange;
  const size_t shard = ShardOf(p);
  const Range range = {static_cast<uint64_t>(static_cast<std::byte*>(p) - BaseOf(shard)),
                       AtLeastOne(bytes)};
  const std::scoped_lock lock(shards_[shard].mutex);
  const FreeStatus status = shards_[shard].heap->Free(range);
  if (status == FreeStatus::kOk) MarkFree(p, AlignUp(range.size, grain_));
  return status;
}

void SharedRegionResource::do_deallocate(void* p, size_t bytes, size_t) {
  if (p == nullptr) return;
  const FreeStatus status = Free(p, bytes);
  if (status == FreeStatus::kOk) return;
  AbortOnMisuse("region '%s': free of %zu bytes at %p: %s", name_, bytes, p,
                FreeStatusName(status));
}

size_t SharedRegionResource::Trim(size_t bytes) noexcept {
  size_t given = 0;
  for (size_t shard = 0; shard < shard_count_ && given < bytes; ++shard) {
    // Within the lock: what is free may be handed out, and written, as soon as that ends.
    const std::scoped_lock lock(shards_[shard].mutex);
    given += shards_[shard].heap->Trim(bytes - given, [&](uint64_t offset, size_t run) {
      (void)memory_.Decommit(shard * shard_bytes_ + offset, run);
    });
  }
  if (budget_ != nullptr && given != 0) budget_->Release(given);
  return given;
}

// --- Questions ----------------------------------------------------------------------------------

MemoryStats SharedRegionResource::Stats() const noexcept {
  MemoryStats stats;
  for (size_t shard = 0; shard < shard_count_; ++shard) {
    const std::scoped_lock lock(shards_[shard].mutex);
    stats.used_bytes += shards_[shard].heap->region().Stats().used_bytes;
    stats.held_bytes += shards_[shard].heap->there_bytes();
  }
  stats.asked_bytes = stats.used_bytes;
  return stats;
}

RegionStats SharedRegionResource::ShardStats(size_t shard) const noexcept {
  const std::scoped_lock lock(shards_[shard].mutex);
  return shards_[shard].heap->region().Stats();
}

Expected<void> SharedRegionResource::Validate() const {
  for (size_t shard = 0; shard < shard_count_; ++shard) {
    const std::scoped_lock lock(shards_[shard].mutex);
    if (auto valid = shards_[shard].heap->region().Validate(); !valid) return valid;
  }
  return {};
}

void SharedRegionResource::ThrowRefusal(size_t bytes, size_t alignment) const {
  if (budget_ != nullptr && budget_->has_refused()) budget_->ThrowRefusal(bytes);
  MemoryResource::ThrowRefusal(bytes, alignment);
}

}  // namespace granary
