// Who reads pages of a file past the operating system's cache, many at a time.
#ifndef GRANARY_BENCH_BUFFER_DIRECT_READERS_H_
#define GRANARY_BENCH_BUFFER_DIRECT_READERS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "bench/buffer/pool_on_file.h"
#include "bench/buffer/resident_limit.h"
#include "pool/buffer/open_page_store.h"

namespace granary::bench {

// Requests in flight, of all threads together.
inline constexpr unsigned kDirectDepth = 32;
constexpr unsigned DirectDepthOf(size_t threads) {
  return kDirectDepth / static_cast<unsigned>(threads);
}

// granary's pool, which is asked for pages ahead of need: no more than its policy keeps until they
// are fixed for the first time.
class DirectPool : public PoolOnFile {
 public:
  DirectPool(size_t pages, size_t frames) : PoolOnFile(pages, frames) {
    if (std::string why = ResidentLimit::WhyNot(path()); !why.empty()) {
      Skip(std::move(why));
      return;
    }
    file().Sync();
    Open({.file = {.read_only = true, .direct = true},
          .engine = IoEngine::kUring,
          .uring = {.queue_depth = kDirectDepth, .rings = 1}});
  }

  const std::string& path() const { return file().path(); }

  // Reads the word of each, asking for those behind it (StartPrefetch); returns their sum.
  uint64_t ReadStarted(std::span<const uint32_t> pages) {
    return ReadWhileOthersCome<kAhead, kAtOnce>(pages);
  }
  // The same, waiting for many before it reads them (Prefetch).
  uint64_t ReadAwaited(std::span<const uint32_t> pages) { return ReadAhead<kAhead>(pages); }

 private:
  static constexpr size_t kAhead = 384;
  static constexpr size_t kAtOnce = 32;
};

// Who reads by a pool, in one of the two ways.
struct StartedReader {
  static constexpr const char* kName = "granary";
  uint64_t ReadAll(std::span<const uint32_t> pages) { return pool.ReadStarted(pages); }
  DirectPool& pool;
};
struct AwaitedReader {
  static constexpr const char* kName = "granary_awaited";
  uint64_t ReadAll(std::span<const uint32_t> pages) { return pool.ReadAwaited(pages); }
  DirectPool& pool;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_DIRECT_READERS_H_
