// Eviction: which page of a full pool goes next.
//
// A policy knows frames by their numbers, 0 to frames_max - 1, is told what happens to the pages in
// them, and is asked for victims. S3Fifo (s3_fifo.h) is the one to take. Lru, Clock and TwoQ are
// what it is measured against, and Lru is the right one where a page that was read lately is the
// only hint there is.
//
// | policy | a hit | bytes a frame | a scan drives out what is hot |
// |---|---|---|---|
// | S3Fifo | a load; a store while it counts, up to 3 | 23 | no |
// | TwoQ | under the lock | 15 | no |
// | Clock | a load; a store the first time | 9 | yes |
// | Lru | under the lock | 8 | yes |
//
// A frame's way:
//
//      OnInsert           PickVictims            OnEvicted
//   free --------> queued ------------> picked ------------> free
//                   |  ^                   |
//           OnErase |  +------ OnKept -----+
//                   v
//                  free
//
// Threading. All calls but OnHit of a counting policy are made under one lock, the pool's. OnHit of
// a counting policy is wait-free and may run beside any of them, for a frame in any state: it does
// nothing but count, in a counter of one byte with relaxed loads and stores, and neither a hit that
// two threads count as one nor one that is counted for the page that came next is worth a fence.
// Costs. Every call takes constant time but PickVictims, which looks at
// kLooksMin + kLooksPerVictim * out.size() frames at most. No call allocates.
#ifndef GRANARY_POOL_BUFFER_EVICTION_H_
#define GRANARY_POOL_BUFFER_EVICTION_H_

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "memory/error.h"
#include "pool/buffer/page_types.h"

namespace granary {

class SystemCalls;

template <class P>
concept EvictionPolicy = requires(P p, const P cp, FrameIndex f, PageKey k, Access a, size_t n,
                                  std::span<FrameIndex> out, SystemCalls* calls) {
  // A policy of up to n frames, 1 to kEvictionFramesMax, that fills all of them until SetCapacity
  // says otherwise. Reserves memory for all and touches none. `calls` is null for the real ones.
  // kInvalidArgument of a bad n; else the errors of SystemMemory::Reserve.
  { P::Create(n, calls) } -> std::same_as<Expected<P>>;
  // How many hits of a page are counted: from there on a hit stores nothing. 0: each hit is told
  // to OnHit under the lock.
  { P::kHitsMax } -> std::convertible_to<uint8_t>;
  // The counters, one a frame, for a hit path of the caller's own that does what OnHit does. Null
  // if kHitsMax is 0.
  { cp.hits() }
  noexcept->std::same_as<std::atomic<uint8_t>*>;

  // Page k came into the free frame f.
  { p.OnInsert(f, k, a) }
  noexcept;
  // The page in f was asked for again.
  { p.OnHit(f) }
  noexcept;
  // Frames in the order of their going; they leave the queues. May return fewer than asked for:
  // none is there, or those it looked at are all in use. Calling again goes on where it stopped; if
  // there are any frames, finitely many calls find one.
  { p.PickVictims(out) }
  noexcept->std::same_as<size_t>;
  // Page k of the picked frame f went; a policy may remember it. The frame is free.
  { p.OnEvicted(f, k) }
  noexcept;
  // A picked one could not go: it is pinned, or being written. It comes back, where it is not
  // asked for again at once.
  { p.OnKept(f) }
  noexcept;
  // The page of a frame that is not picked is gone for good. The frame is free.
  { p.OnErase(f) }
  noexcept;
  // How many frames there are to fill, 1 to frames_max: what queues and memories are measured by.
  // Evicts nothing itself.
  { p.SetCapacity(n) }
  noexcept;
  // What all arrays take once every frame was used, in bytes.
  { cp.bytes_max() }
  noexcept->std::same_as<size_t>;
};

// What a frame's number has room for: 28 bits, a terabyte at 4 KiB.
inline constexpr size_t kEvictionFramesMax = size_t{1} << 28;

// The most frames that a call of PickVictims looks at.
inline constexpr size_t kLooksMin = 64;
inline constexpr size_t kLooksPerVictim = 16;
constexpr size_t LooksMax(size_t victims) noexcept { return kLooksMin + kLooksPerVictim * victims; }

// A hit that is counted: one load, and one store while the counter is below `hits_max`.
inline void CountHit(std::atomic<uint8_t>& hits, uint8_t hits_max) noexcept {
  const uint8_t count = hits.load(std::memory_order_relaxed);
  if (count < hits_max) {
    hits.store(static_cast<uint8_t>(count + 1), std::memory_order_relaxed);
  }
}

enum class EvictionKind : uint8_t { kS3Fifo, kTwoQ, kClock, kLru };

inline constexpr EvictionKind kEvictionKinds[] = {EvictionKind::kS3Fifo, EvictionKind::kTwoQ,
                                                  EvictionKind::kClock, EvictionKind::kLru};

// "s3fifo", "twoq", "clock", "lru".
const char* EvictionKindName(EvictionKind kind) noexcept;

// A policy that is chosen when the program runs; calls and their rules are EvictionPolicy's. A hit
// costs no virtual call where the policy counts: see CountHit.
class Eviction {
 public:
  virtual ~Eviction() = default;
  Eviction(const Eviction&) = delete;
  Eviction& operator=(const Eviction&) = delete;

  // Not null where hits_max() is not 0; then OnHit(f) is CountHit(hits()[f], hits_max()).
  std::atomic<uint8_t>* hits() const noexcept { return hits_; }
  uint8_t hits_max() const noexcept { return hits_max_; }

  virtual void OnInsert(FrameIndex frame, PageKey key, Access access) noexcept = 0;
  virtual void OnHit(FrameIndex frame) noexcept = 0;
  virtual size_t PickVictims(std::span<FrameIndex> out) noexcept = 0;
  virtual void OnEvicted(FrameIndex frame, PageKey key) noexcept = 0;
  virtual void OnKept(FrameIndex frame) noexcept = 0;
  virtual void OnErase(FrameIndex frame) noexcept = 0;
  virtual void SetCapacity(size_t frames) noexcept = 0;
  virtual size_t bytes_max() const noexcept = 0;

 protected:
  Eviction(std::atomic<uint8_t>* hits, uint8_t hits_max) noexcept
      : hits_(hits), hits_max_(hits_max) {}

 private:
  std::atomic<uint8_t>* hits_;
  uint8_t hits_max_;
};

// Errors are those of the policy's Create.
Expected<std::unique_ptr<Eviction>> MakeEviction(EvictionKind kind, size_t frames_max,
                                                 SystemCalls* system_calls = nullptr);

// kInvalidArgument unless frames_max is 1 to kEvictionFramesMax; `where` is who was asked.
Expected<void> CheckFramesMax(size_t frames_max, const char* where);

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_EVICTION_H_
