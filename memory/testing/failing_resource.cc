#include "memory/testing/failing_resource.h"

#include <cstring>
#include <sstream>

#include "gtest/gtest.h"

namespace granary {
namespace {

constexpr int kNew = 0xCD;
constexpr int kTaken = 0xDD;

std::string Describe(const void* p, size_t bytes, size_t alignment) {
  std::ostringstream text;
  text << p << " (" << bytes << " bytes, alignment " << alignment << ")";
  return text.str();
}

}  // namespace

FailingResource::FailingResource(MemoryResource& upstream) noexcept
    : MemoryResource(Deallocation::kFrees, upstream.max_alignment()), upstream_(upstream) {}

FailingResource::~FailingResource() {
  for (const auto& [p, block] : live_) {
    ADD_FAILURE() << "FailingResource: leaked " << Describe(p, block.bytes, block.alignment);
    upstream_.deallocate(p, block.bytes, block.alignment);
  }
}

void FailingResource::Arm(size_t first, size_t last) noexcept {
  const std::lock_guard lock(mutex_);
  since_command_ = 0;
  refusals_ = 0;
  refused_last_ = false;
  refuse_first_ = first;
  refuse_last_ = last;
}

void FailingResource::RefuseNth(size_t nth) noexcept { Arm(nth, nth); }
void FailingResource::RefuseFrom(size_t nth) noexcept { Arm(nth, SIZE_MAX); }
void FailingResource::RefuseNone() noexcept { Arm(1, 0); }

size_t FailingResource::allocation_count() const noexcept {
  const std::lock_guard lock(mutex_);
  return allocations_;
}

size_t FailingResource::deallocation_count() const noexcept {
  const std::lock_guard lock(mutex_);
  return deallocations_;
}

size_t FailingResource::refusal_count() const noexcept {
  const std::lock_guard lock(mutex_);
  return refusals_;
}

size_t FailingResource::live_count() const noexcept {
  const std::lock_guard lock(mutex_);
  return live_.size();
}

size_t FailingResource::live_bytes() const noexcept {
  const std::lock_guard lock(mutex_);
  return live_bytes_;
}

void* FailingResource::TryAllocate(size_t bytes, size_t alignment) noexcept {
  const std::lock_guard lock(mutex_);
  ++allocations_;
  ++since_command_;
  refused_last_ = since_command_ >= refuse_first_ && since_command_ <= refuse_last_;
  if (refused_last_) {
    ++refusals_;
    return nullptr;
  }
  void* const p = upstream_.TryAllocate(bytes, alignment);
  if (p == nullptr) return nullptr;
  std::memset(p, kNew, bytes);
  live_.emplace(p, Block{bytes, alignment});
  live_bytes_ += bytes;
  return p;
}

bool FailingResource::TryResize(void* p, size_t old_bytes, size_t new_bytes,
                                size_t alignment) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(p);
  if (found == live_.end() || found->second.bytes != old_bytes ||
      found->second.alignment != alignment) {
    ADD_FAILURE() << "FailingResource: resized, and not out as such: "
                  << Describe(p, old_bytes, alignment);
    return false;
  }
  if (!upstream_.TryResize(p, old_bytes, new_bytes, alignment)) return false;
  found->second.bytes = new_bytes;
  live_bytes_ += new_bytes - old_bytes;
  return true;
}

MemoryStats FailingResource::Stats() const noexcept {
  const size_t bytes = live_bytes();
  return {.asked_bytes = bytes, .used_bytes = bytes, .held_bytes = bytes};
}

void FailingResource::ReleaseChain(const BlockChain& chain) noexcept {
  size_t bytes = 0;
  const BlockLink* last = nullptr;
  const BlockLink* link = chain.first;
  for (size_t i = 0; i < chain.count; ++i) {
    bytes += link->bytes;
    last = link;
    link = link->next;
  }
  if (bytes != chain.bytes || last != chain.last) {
    ADD_FAILURE() << "FailingResource: a chain of " << chain.count << " blocks says it has "
                  << chain.bytes << " bytes up to " << chain.last << ", and has " << bytes
                  << " up to " << last;
  }
  MemoryResource::ReleaseChain(chain);
}

void FailingResource::ThrowRefusal(size_t bytes, size_t alignment) const {
  bool commanded;
  {
    const std::lock_guard lock(mutex_);
    commanded = refused_last_;
  }
  if (commanded) throw BudgetExceeded(kScopePath, bytes, 0);
  upstream_.ThrowRefusal(bytes, alignment);
  // GCC forgets [[noreturn]] where the call is virtual.
  __builtin_unreachable();
}

void FailingResource::do_deallocate(void* p, size_t bytes, size_t alignment) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(p);
  if (found == live_.end()) {
    ADD_FAILURE() << "FailingResource: deallocated, and not out: " << Describe(p, bytes, alignment);
    return;
  }
  const Block block = found->second;
  if (block.bytes != bytes || block.alignment != alignment) {
    ADD_FAILURE() << "FailingResource: deallocated as " << Describe(p, bytes, alignment)
                  << ", allocated as " << Describe(p, block.bytes, block.alignment);
  }
  live_.erase(found);
  live_bytes_ -= block.bytes;
  ++deallocations_;
  std::memset(p, kTaken, block.bytes);
  upstream_.deallocate(p, block.bytes, block.alignment);
}

}  // namespace granary
