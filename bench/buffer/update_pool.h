// The pool that changes pages of a file of which half has room in memory; the file is in the
// operating system's cache.
#ifndef GRANARY_BENCH_BUFFER_UPDATE_POOL_H_
#define GRANARY_BENCH_BUFFER_UPDATE_POOL_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bench/buffer/pages.h"
#include "bench/buffer/pool_on_file.h"
#include "bench/program.h"
#include "pool/buffer/open_page_store.h"

namespace granary::bench {

// A change is of the word behind the page's own: of how often it was changed.
constexpr size_t CounterOffset(uint64_t page) { return WordOffset(page) + sizeof(uint64_t); }

inline void CountChange(std::byte* bytes, uint64_t page) {
  uint64_t count;
  std::memcpy(&count, bytes + CounterOffset(page), sizeof(count));
  ++count;
  std::memcpy(bytes + CounterOffset(page), &count, sizeof(count));
}
inline uint64_t ReadCount(const std::byte* bytes, uint64_t page) {
  uint64_t count;
  std::memcpy(&count, bytes + CounterOffset(page), sizeof(count));
  return count;
}

// granary's pool over a file, with a thread that evicts and writes.
class UpdatePool : public PoolOnFile {
 public:
  static constexpr const char* kName = "granary";

  UpdatePool(size_t pages, size_t frames) : PoolOnFile(pages, frames) {
    Open({.engine = IoEngine::kPosix});
    if (!why_skipped().empty()) Die(why_skipped());
  }

  // What `use` returns, called with the page's bytes; a fix is over when they are there.
  template <class Use>
  uint64_t Read(uint64_t page, const Use& use) {
    const auto fixed = pool().FixShared(IdOf(page));
    if (!fixed) [[unlikely]]
      Die(fixed.error().message);
    return use(fixed->data());
  }
  template <class Use>
  uint64_t Change(uint64_t page, const Use& use) {
    auto fixed = pool().FixExclusive(IdOf(page));
    if (!fixed) [[unlikely]]
      Die(fixed.error().message);
    const uint64_t result = use(fixed->data());
    // There is no log.
    fixed->MarkDirty(0);
    return result;
  }
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_UPDATE_POOL_H_
