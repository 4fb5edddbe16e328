// GhostQueue: which pages left lately. A ring of the last `limit` departures, and a hash table into
// it; neither allocates.
//
// A page that comes back is forgotten, and its place in the ring stays empty until the ring comes
// round: the queue remembers the last `limit` departures, not the last `limit` pages that are still
// away. On the OLTP and P3 traces this costs S3-FIFO at most 0.07 points against a queue
// that closes the gap, gains it up to 0.8, and saves two links a ghost.
//
// A page is known by 32 bits. Within 2^32 pages of one file no two pages have the same: a pool of
// one file makes no mistake. Of several files a page is taken for a ghost with a probability of
// limit / 2^32.
//
// The table grows by linear hashing (Litwin, VLDB 1980): with each place of the ring that comes
// into use one bucket is split, so that there is no moment at which all is hashed again, and the
// memory that is touched is in proportion to the ghosts there are.
//
// Cost: 12 bytes a ghost; Push and Take read the one or two ghosts of a bucket on average.
// Threading: one thread at a time.
#ifndef GRANARY_POOL_BUFFER_GHOST_QUEUE_H_
#define GRANARY_POOL_BUFFER_GHOST_QUEUE_H_

#include <cstddef>
#include <cstdint>

#include "pool/buffer/frame_array.h"
#include "pool/buffer/page_types.h"

namespace granary {

// 32 bits that stand for a page, evenly spread in each of their bits.
constexpr uint32_t FingerprintOf(PageKey key) noexcept {
  // The finaliser of MurmurHash3, a permutation of the 32-bit numbers.
  constexpr auto kMix = [](uint32_t x) {
    x = (x ^ x >> 16) * 0x85eb'ca6bU;
    x = (x ^ x >> 13) * 0xc2b2'ae35U;
    return x ^ x >> 16;
  };
  return kMix(static_cast<uint32_t>(key)) ^ kMix(static_cast<uint32_t>(key >> 32) * 0x9e37'79b9U);
}

class GhostQueue {
 public:
  // Room for `ghosts_max`, 1 to 2^31. Errors are those of SystemMemory::Reserve.
  Expected<void> Reserve(size_t ghosts_max, SystemCalls* system_calls);

  // How many departures are remembered from now on: 1 to ghosts_max. What is too much goes two at a
  // time with each Push, not always the oldest first.
  void SetLimit(uint32_t limit) noexcept { limit_ = limit; }
  uint32_t limit() const noexcept { return limit_; }

  // A page leaves, which no entry is of.
  void Push(uint32_t fingerprint) noexcept;

  // How many departures ago this page left, its own being 1, and forgets it. 0 if nothing is known
  // of it.
  uint32_t Take(uint32_t fingerprint) noexcept;

  // What all of it takes once it is touched.
  size_t bytes_max() const noexcept { return entries_.bytes_max() + buckets_.bytes_max(); }

 private:
  // Places are told in tables as their number plus 1, because zero is what is there first.
  struct Entry {
    uint32_t fingerprint;
    uint32_t next;
  };

  uint32_t BucketOf(uint32_t fingerprint) const noexcept;
  void Link(uint32_t place) noexcept;
  void Unlink(uint32_t place) noexcept;
  void AddPlace() noexcept;
  void DropPlace() noexcept;

  FrameArray<Entry> entries_;
  FrameArray<uint32_t> buckets_;
  uint32_t limit_ = 1;
  // The places in use, [0, size_); there are as many buckets.
  uint32_t size_ = 0;
  // Where the next one goes; size_ before the ring is full, or when it begins again.
  uint32_t next_ = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_GHOST_QUEUE_H_
