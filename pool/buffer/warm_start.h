// Warm start: a pool that has, soon after it begins, the pages that it had when it ended.
//
//   // While it runs, every minute or so, and once more at the end:
//   granary::ObserveWarmPages(pool, list);
//   auto saved = granary::SaveWarmList(list, "data.warm");
//
//   // When it starts, all files attached under the ids that they had, on a thread of its own:
//   auto list = granary::LoadWarmList("data.warm");
//   if (!list) ...                                  // There is none, or a bad one: start cold.
//   auto warmed = granary::WarmStart(pool, *list, {.pages_per_second = 20'000});
//
// What is hot. A pool says which pages are there, not how often they are asked for; but whoever is
// asked for often stays. So a page's heat is at how many observations it was there without a break,
// and a smaller pool gets those that stayed longest.
//
// When not: if the engine knows better what it will need; Prefetch takes any pages.
//
// Threading. ObserveWarmPages and WarmStart from any thread beside everything else; a list is one
// thread's at a time. Nobody detaches files meanwhile: Detach would find them in use.
#ifndef GRANARY_POOL_BUFFER_WARM_START_H_
#define GRANARY_POOL_BUFFER_WARM_START_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>

#include "memory/error.h"
#include "pool/buffer/buffer_pool_core.h"
#include "pool/buffer/page_types.h"
#include "pool/buffer/warm_list.h"

namespace granary {

// Brings the list up to what the pool has now: pages that are gone are taken out, new ones have no
// heat, and those that were there have one more, up to 255. Of an empty list it makes one of all
// resident pages. O(n log n); 24 bytes a page. May throw std::bad_alloc, and then the list is as it
// was.
void ObserveWarmPages(const BufferPoolCore& pool, WarmList& list);

struct WarmStartOptions {
  // At most so many are asked for, so that those who work meanwhile have the device too.
  size_t pages_per_second = SIZE_MAX;
  // It stops when so few frames are free: what it would bring from there on the evictor takes out
  // again. 0 for 1/32 of the pool's.
  size_t free_frames_min = 0;
  // How many pages a file has, 0 for one that is not attached. Without it those that are not to be
  // had are asked for in vain, and count as failed.
  std::function<uint64_t(FileId)> pages_of = nullptr;
  // Stops it after the batch at which it is, some milliseconds.
  std::stop_token stop = {};
};

struct WarmStartReport {
  // All pages of the list are in one of these.
  size_t brought = 0;
  size_t already_there = 0;
  // Of files that are not attached, and behind the end of those that are.
  size_t without_file = 0;
  size_t beyond_file = 0;
  // Could not be read, were wrong, or somebody else was faster with them.
  size_t failed = 0;
  // Not asked for any more: the pool was full, or it was stopped.
  size_t left = 0;
};

// Prefetches the list's pages in their order, the first ones first. Ends when all were asked for,
// when the pool is full, or when it is told to; evicts nothing. kInvalidArgument: the list is of
// pages of another size, or nothing may be asked for in a second.
Expected<WarmStartReport> WarmStart(BufferPoolCore& pool, const WarmList& list,
                                    const WarmStartOptions& options = {});

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_WARM_START_H_
