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
  static constexpr const char* kName = "granary";

  // For so many threads, each of which has a ring.
  DirectPool(size_t pages, size_t frames, size_t threads) : PoolOnFile(pages, frames) {
    if (std::string why = ResidentLimit::WhyNot(path()); !why.empty()) {
      Skip(std::move(why));
      return;
    }
    file().Sync();
    Open({.file = {.read_only = true, .direct = true},
          .engine = IoEngine::kUring,
          .uring = {.queue_depth = DirectDepthOf(threads),
                    .rings = static_cast<unsigned>(threads)}});
  }

  const std::string& path() const { return file().path(); }

  // Reads the word of each; returns their sum.
  uint64_t ReadAll(std::span<const uint32_t> pages) { return ReadAhead<kAhead>(pages); }

 private:
  static constexpr size_t kAhead = 384;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_DIRECT_READERS_H_
