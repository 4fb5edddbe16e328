#include "integration/engine_buffer_pool.h"

#include <utility>

namespace granary {

EngineBufferPool::EngineBufferPool(EngineMemory& memory,
                                   const EngineBufferPoolOptions& options) noexcept
    : budget_(memory.budget(), {.name = options.name, .hard_limit_bytes = options.limit_bytes}) {}

Expected<std::unique_ptr<EngineBufferPool>> EngineBufferPool::Create(
    EngineMemory& memory, const EngineBufferPoolOptions& options) {
  std::unique_ptr<EngineBufferPool> made(new EngineBufferPool(memory, options));
  auto frames = PagePool::Create({.page_bytes = options.page_bytes,
                                  .max_pages = options.frames,
                                  .huge_pages = options.huge_pages,
                                  .budget = &made->budget_,
                                  .name = options.name});
  if (!frames) return tl::unexpected(std::move(frames.error()));
  made->frames_ = *std::move(frames);
  BufferPoolOptions pool_options = options.pool;
  pool_options.pages = made->frames_.get();
  pool_options.frames = options.frames;
  pool_options.budget = &made->budget_;
  auto pool = BufferPool::Create(pool_options);
  if (!pool) return tl::unexpected(std::move(pool.error()));
  made->pool_ = *std::move(pool);
  return made;
}

}  // namespace granary
