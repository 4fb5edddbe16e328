// The pool's eviction policies by themselves, one page at a time: when all frames are full, one
// victim is picked, goes, and the page comes.
#ifndef GRANARY_BENCH_CACHE_SIM_EVICTION_CACHE_H_
#define GRANARY_BENCH_CACHE_SIM_EVICTION_CACHE_H_

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "bench/cache_sim/simulated_cache.h"
#include "memory/error.h"
#include "pool/buffer/eviction.h"

namespace granary::bench {

class EvictionCache final : public CacheUnderTest {
 public:
  // Errors are those of MakeEviction.
  static Expected<std::unique_ptr<EvictionCache>> Create(EvictionKind kind, size_t pages);

  bool Access(PageKey page, granary::Access access) override;
  std::optional<PageKey> driven_out() const override { return driven_out_; }

 private:
  EvictionCache(std::unique_ptr<Eviction> eviction, size_t pages)
      : eviction_(std::move(eviction)), pages_(pages) {}

  void Hit(FrameIndex frame);
  FrameIndex FreeFrame();

  std::unique_ptr<Eviction> eviction_;
  size_t pages_;
  std::unordered_map<PageKey, FrameIndex> frames_;
  // The page of each frame that was used.
  std::vector<PageKey> keys_;
  std::optional<PageKey> driven_out_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CACHE_SIM_EVICTION_CACHE_H_
