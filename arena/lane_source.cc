#include "arena/lane_source.h"

#include <pthread.h>

#include "memory/misuse.h"

namespace granary {

namespace {

uint64_t ThisThread() noexcept { return static_cast<uint64_t>(pthread_self()); }

}  // namespace

void* LaneSource::TryAllocate(size_t bytes, size_t alignment) noexcept {
  CheckOpen("an allocation");
  void* const p = upstream_.TryAllocate(bytes, alignment);
  if (p != nullptr) held_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  return p;
}

bool LaneSource::TryResize(void* p, size_t old_bytes, size_t new_bytes, size_t alignment) noexcept {
  CheckOpen("a resize");
  if (!upstream_.TryResize(p, old_bytes, new_bytes, alignment)) return false;
  held_bytes_.fetch_add(new_bytes - old_bytes, std::memory_order_relaxed);
  return true;
}

void LaneSource::ReleaseChain(const BlockChain& chain) noexcept {
  const size_t bytes = chain.bytes;
  upstream_.ReleaseChain(chain);
  held_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

void LaneSource::do_deallocate(void* p, size_t bytes, size_t alignment) {
  upstream_.deallocate(p, bytes, alignment);
  held_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

MemoryStats LaneSource::Stats() const noexcept {
  const size_t held = held_bytes();
  return {.asked_bytes = held, .used_bytes = held, .held_bytes = held};
}

void LaneSource::ThrowRefusal(size_t bytes, size_t alignment) const {
  upstream_.ThrowRefusal(bytes, alignment);
  // GCC forgets [[noreturn]] where the call is virtual.
  __builtin_unreachable();
}

void LaneSource::Close(const char* call) noexcept {
  uint64_t other = 0;
  if (resetting_thread_.compare_exchange_strong(other, ThisThread(), std::memory_order_relaxed)) {
    return;
  }
  AbortOnMisuse("concurrent arena '%s': %s on thread 0x%llx while thread 0x%llx resets it",
                arena_name_, call, static_cast<unsigned long long>(ThisThread()),
                static_cast<unsigned long long>(other));
}

void LaneSource::CheckOpen(const char* call) const noexcept {
  const uint64_t other = resetting_thread_.load(std::memory_order_relaxed);
  if (other == 0 || other == ThisThread()) [[likely]]
    return;
  AbortOnMisuse("concurrent arena '%s': %s on thread 0x%llx while thread 0x%llx resets it",
                arena_name_, call, static_cast<unsigned long long>(ThisThread()),
                static_cast<unsigned long long>(other));
}

}  // namespace granary
