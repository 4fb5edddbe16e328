#include "pool/buffer/warm_start.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace granary {

namespace {

using Clock = std::chrono::steady_clock;

// What Prefetch reads at once; and batches in a second at least, so that it stops soon.
constexpr size_t kBatchPages = 128;
constexpr size_t kBatchesPerSecond = 50;

std::vector<PageKey> SortedResident(const BufferPoolCore& pool) {
  const std::vector<PageId> pages = pool.ResidentPages();
  std::vector<PageKey> keys;
  keys.reserve(pages.size());
  for (const PageId page : pages) keys.push_back(KeyOf(page));
  std::sort(keys.begin(), keys.end());
  // A page may have gone and come to another frame while they were looked at.
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace

void ObserveWarmPages(const BufferPoolCore& pool, WarmList& list) {
  const std::vector<PageKey> keys = SortedResident(pool);
  std::vector<WarmPage> before = list.pages;
  std::sort(before.begin(), before.end(),
            [](const WarmPage& a, const WarmPage& b) { return a.key < b.key; });
  std::vector<WarmPage> now;
  now.reserve(keys.size());
  auto old = before.begin();
  for (const PageKey key : keys) {
    while (old != before.end() && old->key < key) ++old;
    WarmPage page = {.key = key};
    if (old != before.end() && old->key == key) {
      page.heat = static_cast<uint8_t>(std::min(old->heat + 1, 255));
    }
    now.push_back(page);
  }
  list.page_bytes = pool.page_bytes();
  list.pages = std::move(now);
}

Expected<WarmStartReport> WarmStart(BufferPoolCore& pool, const WarmList& list,
                                    const WarmStartOptions& options) {
  const auto invalid = [](std::string message) {
    return tl::unexpected(Error{
        .code = ErrorCode::kInvalidArgument, .message = std::move(message), .where = "WarmStart"});
  };
  if (list.page_bytes != pool.page_bytes()) {
    return invalid("the list is of pages of " + std::to_string(list.page_bytes) +
                   " bytes, and the pool's have " + std::to_string(pool.page_bytes()));
  }
  if (options.pages_per_second == 0) return invalid("pages_per_second is 0");
  const size_t free_min =
      options.free_frames_min != 0 ? options.free_frames_min : pool.Stats().frames / 32;
  const size_t batch_pages =
      std::clamp<size_t>(options.pages_per_second / kBatchesPerSecond, 1, kBatchPages);
  const std::vector<PageKey> resident = SortedResident(pool);
  const Clock::time_point begin = Clock::now();
  WarmStartReport report;
  std::vector<PageId> batch;
  batch.reserve(batch_pages);
  size_t asked = 0;
  size_t next = 0;
  while (next < list.pages.size() && !options.stop.stop_requested()) {
    const size_t free = pool.Stats().free_frames;
    if (free <= free_min) break;
    // No more than fit: Prefetch would evict.
    const size_t room = std::min(batch_pages, free - free_min);
    batch.clear();
    for (; next < list.pages.size() && batch.size() < room; ++next) {
      const PageId id = PageOf(list.pages[next].key);
      const uint64_t pages = options.pages_of ? options.pages_of(id.file) : UINT64_MAX;
      if (pages == 0) {
        ++report.without_file;
      } else if (id.page >= pages) {
        ++report.beyond_file;
      } else if (std::binary_search(resident.begin(), resident.end(), KeyOf(id))) {
        ++report.already_there;
      } else {
        batch.push_back(id);
      }
    }
    const size_t brought = pool.Prefetch(batch);
    report.brought += brought;
    report.failed += batch.size() - brought;
    asked += batch.size();
    if (options.pages_per_second != SIZE_MAX) {
      const std::chrono::duration<double> due(static_cast<double>(asked) /
                                              static_cast<double>(options.pages_per_second));
      // A rate of a page in a second is to be stopped soon as well.
      const Clock::time_point until = begin + std::chrono::duration_cast<Clock::duration>(due);
      for (auto now = Clock::now(); now < until && !options.stop.stop_requested();
           now = Clock::now()) {
        std::this_thread::sleep_until(
            std::min(until, now + std::chrono::milliseconds(1000 / kBatchesPerSecond)));
      }
    }
  }
  report.left = list.pages.size() - next;
  return report;
}

}  // namespace granary
