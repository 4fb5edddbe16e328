// Lists of frames, linked by their numbers. A frame is in one list at most, so that one pair of
// links a frame, 8 bytes, serves all lists of a policy.
#ifndef GRANARY_POOL_BUFFER_FRAME_LIST_H_
#define GRANARY_POOL_BUFFER_FRAME_LIST_H_

#include <cassert>
#include <cstddef>
#include <cstdint>

#include "pool/buffer/frame_array.h"
#include "pool/buffer/page_types.h"

namespace granary {

inline constexpr FrameIndex kNoFrame = ~FrameIndex{0};

// The ends of a list.
struct FrameList {
  FrameIndex front = kNoFrame;
  FrameIndex back = kNoFrame;
  uint32_t size = 0;
};

// The links between all frames. Every call takes constant time.
class FrameLinks {
 public:
  Expected<void> Reserve(size_t frames_max, SystemCalls* system_calls) {
    return links_.Reserve(frames_max, system_calls);
  }
  size_t bytes_max() const noexcept { return links_.bytes_max(); }

  // `frame` is in no list.
  void PushBack(FrameList& list, FrameIndex frame) const noexcept {
    links_[frame] = {.next = kNoFrame, .previous = list.back};
    (list.back == kNoFrame ? list.front : links_[list.back].next) = frame;
    list.back = frame;
    ++list.size;
  }

  // `frame` is in this list.
  void Remove(FrameList& list, FrameIndex frame) const noexcept {
    assert(list.size != 0);
    const Link link = links_[frame];
    (link.previous == kNoFrame ? list.front : links_[link.previous].next) = link.next;
    (link.next == kNoFrame ? list.back : links_[link.next].previous) = link.previous;
    --list.size;
  }

  // The list has a frame.
  FrameIndex PopFront(FrameList& list) const noexcept {
    const FrameIndex frame = list.front;
    Remove(list, frame);
    return frame;
  }

 private:
  struct Link {
    FrameIndex next;
    FrameIndex previous;
  };

  FrameArray<Link> links_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_FRAME_LIST_H_
