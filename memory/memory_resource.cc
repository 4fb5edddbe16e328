#include "memory/memory_resource.h"

namespace granary {

BudgetExceeded::BudgetExceeded(std::string_view scope_path, size_t asked_bytes,
                               size_t limit_bytes) noexcept
    : asked_bytes_(asked_bytes), limit_bytes_(limit_bytes) {
  try {
    scope_path_ = scope_path;
    message_ = "memory limit exceeded: " + scope_path_ + " asked for " +
               std::to_string(asked_bytes) + " bytes under a limit of " +
               std::to_string(limit_bytes) + " bytes";
  } catch (const std::bad_alloc&) {
    message_.clear();
  }
}

BudgetExceeded::BudgetExceeded(std::string_view scope_path, size_t asked_bytes, size_t limit_bytes,
                               std::string_view reason) noexcept
    : asked_bytes_(asked_bytes), limit_bytes_(limit_bytes) {
  try {
    scope_path_ = scope_path;
    message_ = "no more memory for " + scope_path_ + ": " + std::string(reason);
  } catch (const std::bad_alloc&) {
    message_.clear();
  }
}

const char* BudgetExceeded::what() const noexcept {
  return message_.empty() ? "memory limit exceeded" : message_.c_str();
}

bool MemoryResource::TryResize(void*, size_t, size_t, size_t) noexcept { return false; }

size_t MemoryResource::Trim() noexcept { return 0; }

void MemoryResource::ReleaseChain(const BlockChain& chain) noexcept {
  BlockLink* link = chain.first;
  for (size_t i = 0; i < chain.count; ++i) {
    BlockLink* const next = link->next;
    deallocate(link, link->bytes, kChainAlignment);
    link = next;
  }
}

void MemoryResource::ThrowRefusal(size_t, size_t) const { throw std::bad_alloc(); }

void* MemoryResource::do_allocate(size_t bytes, size_t alignment) {
  // Without this a container would pay for two virtual calls where std::pmr's own resources take
  // one.
  return cursor_.Take(bytes, alignment, [=, this] { return AllocateVirtual(bytes, alignment); });
}

[[gnu::noinline]] void* MemoryResource::AllocateVirtual(size_t bytes, size_t alignment) {
  void* const p = TryAllocate(bytes, alignment);
  if (p == nullptr) [[unlikely]] {
    ThrowRefusal(bytes, alignment);
  }
  return p;
}

bool MemoryResource::do_is_equal(const std::pmr::memory_resource& other) const noexcept {
  return this == &other;
}

}  // namespace granary
