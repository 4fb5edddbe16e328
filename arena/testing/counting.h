// What the arena's tests put under an arena and into it: it counts what is done with it.
#ifndef GRANARY_ARENA_TESTING_COUNTING_H_
#define GRANARY_ARENA_TESTING_COUNTING_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "arena/arena_options.h"
#include "gtest/gtest.h"
#include "memory/malloc_resource.h"

namespace granary {

// Counts what an arena asks of upstream, and refuses above a limit.
class CountingUpstream final : public MemoryResource {
 public:
  CountingUpstream() : MemoryResource(Deallocation::kFrees, MallocResource::kMaxAlignment) {}
  ~CountingUpstream() override { EXPECT_EQ(live, 0u) << "blocks were not given back"; }

  void* TryAllocate(size_t bytes, size_t alignment) noexcept override {
    ++calls;
    if (bytes > largest_bytes) return nullptr;
    void* const p = malloc_.TryAllocate(bytes, alignment);
    if (p != nullptr) ++live;
    sizes.push_back(bytes);
    return p;
  }
  bool TryResize(void* p, size_t old_bytes, size_t new_bytes, size_t alignment) noexcept override {
    ++calls;
    return malloc_.TryResize(p, old_bytes, new_bytes, alignment);
  }
  void ReleaseChain(const BlockChain& chain) noexcept override {
    ++chains;
    size_t bytes = 0;
    const BlockLink* link = chain.first;
    for (size_t i = 0; i < chain.count; ++i, link = link->next) bytes += link->bytes;
    EXPECT_EQ(bytes, chain.bytes);
    MemoryResource::ReleaseChain(chain);
  }
  MemoryStats Stats() const noexcept override { return malloc_.Stats(); }

  size_t calls = 0;
  size_t chains = 0;
  size_t live = 0;
  size_t largest_bytes = SIZE_MAX;
  std::vector<size_t> sizes;

 private:
  void do_deallocate(void* p, size_t bytes, size_t alignment) override {
    --live;
    malloc_.deallocate(p, bytes, alignment);
  }

  MallocResource malloc_;
};

// The figures below are those of an arena without checks; whether it has checks is not what they
// test.
inline ArenaOptions UncheckedOptions(MemoryResource& upstream) {
  return {.upstream = &upstream, .checks = Checks::kOff};
}

// Writes its number down when it is destroyed.
class Counted {
 public:
  Counted(std::vector<int>* log, int id) : log_(log), id_(id) {}
  ~Counted() { log_->push_back(id_); }

 private:
  std::vector<int>* log_;
  int id_;
};

}  // namespace granary

#endif  // GRANARY_ARENA_TESTING_COUNTING_H_
