// Any sequence of calls that keeps to the rules of eviction.h, on each policy: no frame is picked
// that is free or picked already, and in the end all that are queued can be had.
#include <array>
#include <cstdint>
#include <span>

#include "memory/testing/fuzz_input.h"
#include "pool/buffer/eviction.h"

namespace {

using granary::Access;
using granary::FrameIndex;
using granary::FuzzCheck;

constexpr size_t kFrames = 24;
constexpr size_t kBatchMax = 8;
enum class State : uint8_t { kFree, kQueued, kPicked };

class Exercise {
 public:
  explicit Exercise(granary::Eviction& eviction) : eviction_(eviction) {}

  void Step(granary::FuzzInput& input) {
    const auto frame = static_cast<FrameIndex>(input.Number(1) % kFrames);
    switch (input.Number(1) % 6) {
      case 0:
      case 1:
        Use(frame, input);
        break;
      case 2:
        // Only policies that count are told of hits of other frames.
        if (eviction_.hits_max() != 0 || states_[frame] == State::kQueued) eviction_.OnHit(frame);
        break;
      case 3:
        Pick(input.Number(1) % (kBatchMax + 1));
        break;
      case 4:
        if (states_[frame] != State::kQueued) break;
        eviction_.OnErase(frame);
        states_[frame] = State::kFree;
        break;
      case 5:
        eviction_.SetCapacity(1 + frame);
        break;
      default:
        break;
    }
  }

  void Finish() {
    size_t queued = 0;
    for (const State state : states_) queued += state == State::kQueued ? 1 : 0;
    // Each call looks at more frames than there are, and each has four rounds at most.
    for (size_t calls = 0; calls < 4 * kFrames; ++calls) queued -= Pick(kBatchMax);
    FuzzCheck(queued == 0);
  }

 private:
  // A free frame is filled, a picked one goes or stays.
  void Use(FrameIndex frame, granary::FuzzInput& input) {
    const uint64_t number = input.Number(1);
    if (states_[frame] == State::kFree) {
      // No page is in two frames.
      keys_[frame] = number / 4 * kFrames + frame;
      eviction_.OnInsert(frame, keys_[frame], static_cast<Access>(number % 4));
      states_[frame] = State::kQueued;
    } else if (states_[frame] == State::kPicked && number % 2 == 0) {
      eviction_.OnEvicted(frame, keys_[frame]);
      states_[frame] = State::kFree;
    } else if (states_[frame] == State::kPicked) {
      eviction_.OnKept(frame);
      states_[frame] = State::kQueued;
    }
  }

  size_t Pick(size_t count) {
    std::array<FrameIndex, kBatchMax> out;
    const size_t picked = eviction_.PickVictims(std::span(out).first(count));
    FuzzCheck(picked <= count);
    for (const FrameIndex frame : std::span(out).first(picked)) {
      FuzzCheck(frame < kFrames && states_[frame] == State::kQueued);
      states_[frame] = State::kPicked;
    }
    return picked;
  }

  granary::Eviction& eviction_;
  std::array<State, kFrames> states_ = {};
  std::array<granary::PageKey, kFrames> keys_ = {};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const granary::EvictionKind kind : granary::kEvictionKinds) {
    auto eviction = granary::MakeEviction(kind, kFrames);
    FuzzCheck(eviction.has_value());
    granary::FuzzInput input(data, size);
    Exercise exercise(**eviction);
    while (!input.empty()) exercise.Step(input);
    exercise.Finish();
  }
  return 0;
}
