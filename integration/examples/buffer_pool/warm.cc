// A restart that does not begin with an empty pool.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/warm_start.h"
#include "pool/page_pool.h"

// [sample]
// Every minute or so, and before the pool goes.
void RememberPages(const granary::BufferPool& pool, granary::WarmList& list,
                   const std::string& path) {
  granary::ObserveWarmPages(pool, list);
  if (auto saved = granary::SaveWarmList(list, path); !saved) {
    std::fprintf(stderr, "%s\n", saved.error().message.c_str());  // The old one is still there.
  }
}

// On a thread of its own, once the files are attached and the log is redone.
void WarmUp(granary::BufferPool& pool, const std::string& path, const std::stop_token& stop) {
  auto list = granary::LoadWarmList(path);
  if (!list) return;  // None, or a bad one, which the message says: a cold start.
  auto warmed = granary::WarmStart(pool, *list, {.pages_per_second = 20'000, .stop = stop});
  if (!warmed) return;
  std::fprintf(stderr, "%zu pages are warm, %zu could not be had, %zu did not fit\n",
               warmed->brought + warmed->already_there, warmed->failed, warmed->left);
}
// [/sample]

int main() {
  const std::string path = "buffer_pool_warm_sample";
  auto pages = granary::PagePool::Create({.page_bytes = 4096, .max_pages = 200});
  if (!pages) return 1;
  for (int run = 0; run < 2; ++run) {
    auto pool = granary::BufferPool::Create({.pages = pages->get(), .frames = 100});
    if (!pool) return 2;
    auto store = granary::MemoryPageStore::Create({.pages = 1000});
    if (!store) return 3;
    const auto file =
        (*pool)->Attach({.store = std::move(*store), .pages_max = 1000, .id = granary::FileId{1}});
    if (!file) return 4;
    WarmUp(**pool, path, {});
    for (uint64_t page = 500; page < 560; ++page) {
      if (!(*pool)->FixShared({1, page})) return 5;
    }
    if ((*pool)->Stats().misses != (run == 0 ? 60U : 0U)) return 6;
    granary::WarmList list;
    RememberPages(**pool, list, path);
  }
  return std::remove(path.c_str()) == 0 ? 0 : 7;
}
