// EngineBufferPool: a buffer pool whose memory is the engine's.
//
//   auto files = granary::EngineBufferPool::Create(memory, {.frames = 1 << 20});
//   auto file = (*files)->pool().Attach({.store = ..., .pages_max = ...});
//
// Frames, and the entries of pages, are charged to a node of its own below the engine's budget. The
// pool takes what memory is free, up to its number of frames, and no more: when a page is to come
// and none is free, another page goes; nobody spills for it. When others need memory and there is
// none left, it gives up clean pages, before any query spills, a megabyte at a time; what was taken
// it takes again once it is free. Pages that are dirty are written by its evictor and go then.
//
// An engine may have several, for pages of several sizes.
#ifndef GRANARY_INTEGRATION_ENGINE_BUFFER_POOL_H_
#define GRANARY_INTEGRATION_ENGINE_BUFFER_POOL_H_

#include <cstddef>
#include <memory>

#include "integration/engine_memory.h"
#include "memory/error.h"
#include "memory/memory_budget.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/page_pool.h"

namespace granary {

struct EngineBufferPoolOptions {
  // For reports. A string literal, or one that outlives the pool.
  const char* name = "buffer pool";
  // Of the files' pages.
  size_t page_bytes = 4096;
  // The most there may be, if nobody else needs the memory.
  size_t frames = 0;
  // What it may take with its entries, 8 bytes a page and more, see array_translation.h.
  size_t limit_bytes = SIZE_MAX;
  HugePages huge_pages = HugePages::kNever;
  // All else; `pages`, `frames` and `budget` are set here.
  BufferPoolOptions pool = {};
};

class EngineBufferPool {
 public:
  // `memory` outlives it. Errors are those of PagePool::Create and BufferPool::Create.
  static Expected<std::unique_ptr<EngineBufferPool>> Create(EngineMemory& memory,
                                                            const EngineBufferPoolOptions& options);

  BufferPool& pool() noexcept { return *pool_; }
  // What it has now, and the most it had.
  MemoryBudget& budget() noexcept { return budget_; }

 private:
  EngineBufferPool(EngineMemory& memory, const EngineBufferPoolOptions& options) noexcept;

  MemoryBudget budget_;
  std::unique_ptr<PagePool> frames_;
  std::unique_ptr<BufferPool> pool_;
};

}  // namespace granary

#endif  // GRANARY_INTEGRATION_ENGINE_BUFFER_POOL_H_
