// The pools' inlined paths, each as a function by itself, for the test that disassembles them.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "pool/local_page_pool.h"
#include "pool/page_pool.h"

using granary::LocalPagePool;
using granary::PagePool;

extern "C" {

std::byte* HotAllocate(PagePool& pool) { return pool.Allocate(); }
void HotDeallocate(PagePool& pool, std::byte* page) { pool.Deallocate(page); }
std::byte* HotLocalAllocate(LocalPagePool& pool) { return pool.Allocate(); }
void HotLocalDeallocate(LocalPagePool& pool, std::byte* page) { pool.Deallocate(page); }

}  // extern "C"

// Calls each of them through a pointer, so that none is inlined or dropped, and what is counted
// also works.
int main() {
  std::byte* (*volatile const allocate)(PagePool&) = HotAllocate;
  void (*volatile const deallocate)(PagePool&, std::byte*) = HotDeallocate;
  std::byte* (*volatile const allocate_local)(LocalPagePool&) = HotLocalAllocate;
  void (*volatile const deallocate_local)(LocalPagePool&, std::byte*) = HotLocalDeallocate;

  const auto pool = std::move(*PagePool::Create({.max_pages = 10, .record_sites = false}));
  const auto local = std::move(*LocalPagePool::Create({.max_pages = 10, .record_sites = false}));
  for (int i = 0; i < 20; ++i) {
    deallocate(*pool, allocate(*pool));
    deallocate_local(*local, allocate_local(*local));
  }
  std::printf("annotations off, %zu pages out\n", pool->Stats().live_pages);
  return local->Stats().live_pages == 0 ? 0 : 1;
}
