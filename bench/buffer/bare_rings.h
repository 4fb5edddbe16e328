// io_uring, and nothing else: what a pool that reads by it can reach.
#ifndef GRANARY_BENCH_BUFFER_BARE_RINGS_H_
#define GRANARY_BENCH_BUFFER_BARE_RINGS_H_

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "bench/buffer/pages.h"

namespace granary::bench {

// Threads that read pages of a file past the operating system's cache, each by a ring of its own
// and into memory of its own, one page after the other.
class BareRings {
 public:
  static constexpr const char* kName = "raw_frames";

  // `frames` pages of memory, of all threads together, and `depth` requests in flight of each. The
  // file has to be there as long as the rings.
  BareRings(const std::string& path, size_t threads, size_t frames, unsigned depth);
  ~BareRings();
  BareRings(const BareRings&) = delete;
  BareRings& operator=(const BareRings&) = delete;

  // Why it cannot be done here, or nothing.
  const std::string& why_skipped() const { return why_skipped_; }

  // Reads the word of each; returns their sum. By as many threads at a time as there are rings.
  uint64_t ReadAll(std::span<const uint32_t> pages);

 private:
  struct Ring {
    explicit Ring(size_t frames) : memory(frames) {}

    std::mutex mutex;
    PageMemory memory;
    io_uring ring = {};
    bool is_made = false;
  };

  uint64_t ReadBy(Ring& its, std::span<const uint32_t> pages) const;
  // Hands over what is queued, and waits for so many completions.
  static void Submit(io_uring& ring, unsigned completions);

  const unsigned depth_;
  int descriptor_ = -1;
  std::vector<std::unique_ptr<Ring>> rings_;
  std::string why_skipped_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_BARE_RINGS_H_
