// A cache as a trace sees it: a page is there or it is not.
#ifndef GRANARY_BENCH_CACHE_SIM_SIMULATED_CACHE_H_
#define GRANARY_BENCH_CACHE_SIM_SIMULATED_CACHE_H_

#include <optional>

#include "pool/buffer/page_types.h"

namespace granary::bench {

class CacheUnderTest {
 public:
  virtual ~CacheUnderTest() = default;
  CacheUnderTest(const CacheUnderTest&) = delete;
  CacheUnderTest& operator=(const CacheUnderTest&) = delete;

  // Whether the page was there. Now it is.
  virtual bool Access(PageKey page, granary::Access access) = 0;

  // Which page the last access drove out, if any, for those that tell.
  virtual std::optional<PageKey> driven_out() const { return std::nullopt; }

 protected:
  CacheUnderTest() = default;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CACHE_SIM_SIMULATED_CACHE_H_
