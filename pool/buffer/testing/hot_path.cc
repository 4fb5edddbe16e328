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
using granary::HashBufferPool;
using granary::PageId;

namespace {

// The first byte of a page that is there, 256 if it is not or was changed meanwhile.
template <class Pool>
[[gnu::always_inline]] inline uint64_t Peek(Pool& pool, uint64_t page) {
  const auto peeked = pool.TryPeek({0, page});
  if (!peeked) return 256;
  const auto first = std::to_integer<uint64_t>(*peeked->data());
  return peeked->Validate() ? first : 256;
}

template <class View>
[[gnu::always_inline]] inline uint64_t PeekIn(const View& file, uint64_t page) {
  const auto peeked = file.TryPeek(page);
  if (!peeked) return 256;
  const auto first = std::to_integer<uint64_t>(*peeked->data());
  return peeked->Validate() ? first : 256;
}

// The same, latched.
template <class Pool>
[[gnu::always_inline]] inline uint64_t FixUnfix(Pool& pool, uint64_t page) {
  const auto fixed = pool.FixShared({0, page}, Access::kOnce);
  return fixed ? std::to_integer<uint64_t>(*fixed->data()) : 256;
}

// 0 if the pool cannot be had.
template <class Pool>
uint64_t Sum(uint64_t (*peek)(Pool&, uint64_t), uint64_t (*fix)(Pool&, uint64_t),
             uint64_t (*peek_in)(const typename Pool::FileView&, uint64_t)) {
  const auto pages = std::move(*granary::PagePool::Create({.max_pages = 10}));
  granary::BufferPoolOptions options;
  options.pages = pages.get();
  options.frames = 10;
  options.record_pins = false;
  const auto pool = std::move(*Pool::Create(options));
  granary::AttachOptions attach;
  attach.store = std::move(*granary::MemoryPageStore::Create({.pages = 4}));
  attach.pages_max = 4;
  const auto file = pool->Attach(std::move(attach));
  if (!file) return 0;
  const auto view = *pool->ViewOf(*file);
  uint64_t sum = 1;
  for (uint64_t page = 0; page < 4; ++page) {
    sum += fix(*pool, page) + peek(*pool, page) + peek_in(view, page);
  }
  return sum;
}

}  // namespace

extern "C" {

uint64_t HotPeek(BufferPool& pool, uint64_t page) { return Peek(pool, page); }
uint64_t HotViewPeek(const BufferPool::FileView& file, uint64_t page) { return PeekIn(file, page); }
uint64_t HotFixUnfix(BufferPool& pool, uint64_t page) { return FixUnfix(pool, page); }
uint64_t HotHashPeek(HashBufferPool& pool, uint64_t page) { return Peek(pool, page); }
uint64_t HotHashViewPeek(const HashBufferPool::FileView& file, uint64_t page) {
  return PeekIn(file, page);
}
uint64_t HotHashFixUnfix(HashBufferPool& pool, uint64_t page) { return FixUnfix(pool, page); }

}  // extern "C"

int main() {
  uint64_t (*volatile const peek)(BufferPool&, uint64_t) = HotPeek;
  uint64_t (*volatile const fix)(BufferPool&, uint64_t) = HotFixUnfix;
  uint64_t (*volatile const view_peek)(const BufferPool::FileView&, uint64_t) = HotViewPeek;
  uint64_t (*volatile const hash_peek)(HashBufferPool&, uint64_t) = HotHashPeek;
  uint64_t (*volatile const hash_fix)(HashBufferPool&, uint64_t) = HotHashFixUnfix;
  uint64_t (*volatile const hash_view_peek)(const HashBufferPool::FileView&, uint64_t) =
      HotHashViewPeek;

  const uint64_t sums[] = {Sum<BufferPool>(peek, fix, view_peek),
                           Sum<HashBufferPool>(hash_peek, hash_fix, hash_view_peek)};
  std::printf("annotations off, sums %llu and %llu\n", static_cast<unsigned long long>(sums[0]),
              static_cast<unsigned long long>(sums[1]));
  return sums[0] == 0 || sums[0] != sums[1] ? 1 : 0;
}
