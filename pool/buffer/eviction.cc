#include "pool/buffer/eviction.h"

#include <string>
#include <utility>

#include "pool/buffer/clock.h"
#include "pool/buffer/lru.h"
#include "pool/buffer/s3_fifo.h"
#include "pool/buffer/two_q.h"

namespace granary {

namespace {

template <EvictionPolicy P>
class EvictionOf final : public Eviction {
 public:
  explicit EvictionOf(P policy) noexcept
      : Eviction(policy.hits(), P::kHitsMax), policy_(std::move(policy)) {}

  void OnInsert(FrameIndex frame, PageKey key, Access access) noexcept override {
    policy_.OnInsert(frame, key, access);
  }
  void OnHit(FrameIndex frame) noexcept override { policy_.OnHit(frame); }
  size_t PickVictims(std::span<FrameIndex> out) noexcept override {
    return policy_.PickVictims(out);
  }
  void OnEvicted(FrameIndex frame, PageKey key) noexcept override { policy_.OnEvicted(frame, key); }
  void OnKept(FrameIndex frame) noexcept override { policy_.OnKept(frame); }
  void OnErase(FrameIndex frame) noexcept override { policy_.OnErase(frame); }
  void SetCapacity(size_t frames) noexcept override { policy_.SetCapacity(frames); }
  size_t bytes_max() const noexcept override { return policy_.bytes_max(); }

 private:
  P policy_;
};

template <EvictionPolicy P>
Expected<std::unique_ptr<Eviction>> Make(size_t frames_max, SystemCalls* system_calls) {
  auto policy = P::Create(frames_max, system_calls);
  if (!policy) return tl::unexpected(std::move(policy.error()));
  return std::make_unique<EvictionOf<P>>(*std::move(policy));
}

}  // namespace

const char* EvictionKindName(EvictionKind kind) noexcept {
  switch (kind) {
    case EvictionKind::kS3Fifo:
      return "s3fifo";
    case EvictionKind::kTwoQ:
      return "twoq";
    case EvictionKind::kClock:
      return "clock";
    case EvictionKind::kLru:
      return "lru";
  }
  return "unknown";
}

Expected<std::unique_ptr<Eviction>> MakeEviction(EvictionKind kind, size_t frames_max,
                                                 SystemCalls* system_calls) {
  switch (kind) {
    case EvictionKind::kS3Fifo:
      return Make<S3Fifo>(frames_max, system_calls);
    case EvictionKind::kTwoQ:
      return Make<TwoQ>(frames_max, system_calls);
    case EvictionKind::kClock:
      return Make<Clock>(frames_max, system_calls);
    case EvictionKind::kLru:
      return Make<Lru>(frames_max, system_calls);
  }
  return tl::unexpected(Error{
      .code = ErrorCode::kInvalidArgument,
      .message = "there is no eviction policy of number " + std::to_string(static_cast<int>(kind)),
      .where = "MakeEviction"});
}

Expected<void> CheckFramesMax(size_t frames_max, const char* where) {
  if (frames_max >= 1 && frames_max <= kEvictionFramesMax) return {};
  return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                              .message = "an eviction policy of " + std::to_string(frames_max) +
                                         " frames; 1 to " + std::to_string(kEvictionFramesMax) +
                                         " are possible",
                              .where = where});
}

}  // namespace granary
