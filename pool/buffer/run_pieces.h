// The memory of a run: pages that lie side by side in the file, so that one call of the kernel
// does. Internal to pool/buffer.
#ifndef GRANARY_POOL_BUFFER_RUN_PIECES_H_
#define GRANARY_POOL_BUFFER_RUN_PIECES_H_

#include <sys/uio.h>

#include <cstddef>
#include <span>

#include "pool/buffer/page_store.h"

namespace granary {

// The memory of a run without its first `done` bytes, as the kernel wants it: pages that lie side
// by side there too are one piece. `pieces` has room for one a page; returns how many there are.
template <class Page>
int PiecesOf(std::span<Page> run, size_t page_bytes, size_t done, iovec* pieces) noexcept {
  size_t count = 0;
  for (size_t i = done / page_bytes; i < run.size(); ++i) {
    const size_t skipped = i == done / page_bytes ? done % page_bytes : 0;
    // The kernel writes to none of what is to be written.
    auto* const begin = const_cast<std::byte*>(run[i].bytes) + skipped;
    const size_t bytes = page_bytes - skipped;
    if (count != 0 &&
        static_cast<std::byte*>(pieces[count - 1].iov_base) + pieces[count - 1].iov_len == begin) {
      pieces[count - 1].iov_len += bytes;
    } else {
      pieces[count++] = {begin, bytes};
    }
  }
  return static_cast<int>(count);
}

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_RUN_PIECES_H_
