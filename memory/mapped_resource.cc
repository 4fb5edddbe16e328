#include "memory/mapped_resource.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>

namespace granary {

namespace {

constexpr size_t kPageLog2 = 12;
// Classes of one page, of two, and so on.
constexpr size_t kPageClasses = 16;
constexpr size_t kClassesPerDoubling = 8;

static_assert(size_t{1} << kPageLog2 == MappedResource::kPageBytes);

}  // namespace

// Above sixteen pages, a size is so many eighths of the power of two below it.
size_t MappedResource::ClassOf(size_t bytes) noexcept {
  bytes += bytes == 0;
  const auto width = static_cast<size_t>(std::bit_width(bytes - 1));
  const size_t unit_log2 = std::max(kPageLog2, width < 4 ? 0 : width - 4);
  const size_t units = ((bytes - 1) >> unit_log2) + 1;
  if (unit_log2 == kPageLog2) return units - 1;
  return kPageClasses + (unit_log2 - kPageLog2 - 1) * kClassesPerDoubling +
         (units - kClassesPerDoubling - 1);
}

size_t MappedResource::ClassBytes(size_t index) noexcept {
  if (index < kPageClasses) return (index + 1) << kPageLog2;
  index -= kPageClasses;
  const size_t units = kClassesPerDoubling + 1 + index % kClassesPerDoubling;
  return units << (kPageLog2 + 1 + index / kClassesPerDoubling);
}

size_t MappedResource::BlockBytes(size_t bytes) noexcept { return ClassBytes(ClassOf(bytes)); }

MappedResource::~MappedResource() { (void)Trim(); }

// Free blocks of its own, of whatever class: what operators that spill give back.
class MappedResource::FreeBlocks final : public FoundElsewhere {
 public:
  explicit FreeBlocks(const MappedResource& resource) noexcept : resource_(resource) {}
  bool IsFound() const noexcept override {
    return resource_.free_bytes_.load(std::memory_order_relaxed) != 0;
  }

 private:
  const MappedResource& resource_;
};

MappedResource::FreeBlock* MappedResource::Pop(size_t index, size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  FreeBlock* const block = free_[index];
  if (block == nullptr) return nullptr;
  free_[index] = block->next;
  free_bytes_ -= ClassBytes(index);
  asked_bytes_ += bytes;
  used_bytes_ += ClassBytes(index);
  return block;
}

void* MappedResource::TryAllocate(size_t bytes, size_t alignment) noexcept {
  if (!IsPowerOfTwo(alignment) || alignment > kPageBytes || bytes > kMaxBytes) return nullptr;
  const size_t index = ClassOf(bytes);
  const size_t held = ClassBytes(index);
  budget_.ForgetRefusal();
  for (bool is_charged = false; !is_charged;) {
    if (FreeBlock* const block = Pop(index, bytes)) return block;
    is_charged = budget_.TryChargeFree(held);
    // Its own before others'.
    if (is_charged || Trim(held) != 0) continue;
    const FreeBlocks freed(*this);
    const MemoryBudget::Result result = budget_.TryCharge(held, freed);
    if (result == MemoryBudget::Result::kRefused) return nullptr;
    is_charged = result == MemoryBudget::Result::kCharged;
  }
  void* const p = Map(held);
  if (p == nullptr) {
    budget_.Release(held);
    budget_.ForgetRefusal();
    return nullptr;
  }
  const std::lock_guard lock(mutex_);
  asked_bytes_ += bytes;
  used_bytes_ += held;
  return p;
}

// The system may be at a limit of its own, of mappings or of memory.
void* MappedResource::Map(size_t held) noexcept {
  do {
    void* const p = calls_.Map(nullptr, held, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    if (p != MAP_FAILED) return p;
  } while (Trim() != 0);
  return nullptr;
}

bool MappedResource::TryResize(void*, size_t old_bytes, size_t new_bytes, size_t) noexcept {
  if (new_bytes > kMaxBytes || ClassOf(old_bytes) != ClassOf(new_bytes)) return false;
  const std::lock_guard lock(mutex_);
  asked_bytes_ += new_bytes - old_bytes;
  return true;
}

void MappedResource::do_deallocate(void* p, size_t bytes, size_t) {
  if (p == nullptr) return;
  const size_t index = ClassOf(bytes);
  const std::lock_guard lock(mutex_);
  free_[index] = new (p) FreeBlock{free_[index]};
  free_bytes_ += ClassBytes(index);
  asked_bytes_ -= bytes;
  used_bytes_ -= ClassBytes(index);
}

size_t MappedResource::Trim(size_t bytes) noexcept {
  size_t trimmed = 0;
  for (size_t index = kClassCount; index > 0 && trimmed < bytes;) {
    FreeBlock* block = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (free_bytes_ == 0) break;
      while (index > 0 && free_[index - 1] == nullptr) --index;
      if (index == 0) break;
      block = free_[index - 1];
      free_[index - 1] = block->next;
      free_bytes_ -= ClassBytes(index - 1);
    }
    const size_t held = ClassBytes(index - 1);
    // Refused where the process has as many mappings as it may, and this one is a part of a larger
    // one: then the block stays, without its memory, and is charged no less.
    if (calls_.Unmap(block, held) != 0) {
      (void)calls_.Advise(block, held, MADV_DONTNEED);
      const std::lock_guard lock(mutex_);
      free_[index - 1] = new (block) FreeBlock{free_[index - 1]};
      free_bytes_ += held;
      --index;
      continue;
    }
    budget_.Release(held);
    trimmed += held;
  }
  return trimmed;
}

MemoryStats MappedResource::Stats() const noexcept {
  const std::lock_guard lock(mutex_);
  return {.asked_bytes = asked_bytes_,
          .used_bytes = used_bytes_,
          .held_bytes = used_bytes_ + free_bytes_};
}

void MappedResource::ThrowRefusal(size_t bytes, size_t alignment) const {
  if (budget_.has_refused()) budget_.ThrowRefusal(bytes);
  MemoryResource::ThrowRefusal(bytes, alignment);
}

}  // namespace granary
