// The buffer pool's hits, each as a function by itself, for the test that disassembles them.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/page_pool.h"

using granary::Access;
using granary::BufferPool;
using granary::PageId;

extern "C" {

// The first byte of a page that is there, 256 if it is not or was changed meanwhile.
uint64_t HotPeek(BufferPool& pool, uint64_t page) {
  const auto peeked = pool.TryPeek({0, page});
  if (!peeked) return 256;
  const auto first = std::to_integer<uint64_t>(*peeked->data());
  return peeked->Validate() ? first : 256;
}

// The same, latched.
uint64_t HotFixUnfix(BufferPool& pool, uint64_t page) {
  const auto fixed = pool.FixShared({0, page}, Access::kOnce);
  return fixed ? std::to_integer<uint64_t>(*fixed->data()) : 256;
}

}  // extern "C"

int main() {
  uint64_t (*volatile const peek)(BufferPool&, uint64_t) = HotPeek;
  uint64_t (*volatile const fix)(BufferPool&, uint64_t) = HotFixUnfix;

  const auto pages = std::move(*granary::PagePool::Create({.max_pages = 10}));
  granary::BufferPoolOptions options;
  options.pages = pages.get();
  options.frames = 10;
  options.record_pins = false;
  const auto pool = std::move(*BufferPool::Create(options));
  granary::AttachOptions attach;
  attach.store = std::move(*granary::MemoryPageStore::Create({.pages = 4}));
  attach.pages_max = 4;
  if (!pool->Attach(std::move(attach))) return 1;
  uint64_t sum = 0;
  for (uint64_t page = 0; page < 4; ++page) sum += fix(*pool, page) + peek(*pool, page);
  std::printf("annotations off, sum %llu\n", static_cast<unsigned long long>(sum));
  return sum == 0 ? 0 : 1;
}
