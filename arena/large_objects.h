// LargeObjects: an arena's objects that are too large for its blocks, each a block of its own.
//
// They stand aside so that none of them ever makes the arena leave a block with room in it. At a
// reset or rewind the whole list is put aside in O(1) and its memory kept: the next large request
// of about the same size takes it again (best fit, from a red-black tree by size).
#ifndef GRANARY_ARENA_LARGE_OBJECTS_H_
#define GRANARY_ARENA_LARGE_OBJECTS_H_

#include <boost/intrusive/set.hpp>
#include <cstddef>

#include "arena/block_list.h"
#include "memory/memory_resource.h"

namespace granary {

// One thread. Owns nothing without its arena, which rewinds to the beginning and trims before it
// goes.
class LargeObjects {
 public:
  // What lives now, in the order in which it was allocated. `bytes` leaves the newest object out:
  // that one may still be resized.
  using Position = BlockList::Position;

  // Called with a block that came from upstream or is about to return to it.
  using BlockHook = void (*)(void* payload, size_t bytes);

  // Bytes of a large object's block that are not the object's.
  static constexpr size_t kHeaderBytes = 48;

  // Memory for `bytes`, which the caller has rounded as it wants it, or nullptr. The smallest idle
  // block that is large enough is taken first. Where there is none, all idle blocks are smaller
  // than the new one: after upstream has given it, as many of their bytes go back as it has, so
  // that what is held does not drift up, and uses of the same sizes come to be served without
  // upstream. If upstream refuses, all idle blocks go back before it is asked once more. `fresh` is
  // called with the payload of a block that comes from upstream, `stale` with one that goes.
  void* TryAllocate(MemoryResource& upstream, size_t bytes, size_t alignment, BlockHook fresh,
                    BlockHook stale) noexcept;

  // Resizes the newest object where it stands, if `p` is the newest and upstream can.
  bool TryResizeNewest(MemoryResource& upstream, const void* p, size_t bytes) noexcept;

  Position position() const noexcept {
    Position newest = live_.end();
    if (newest.last != nullptr) newest.bytes -= newest.last->bytes;
    return newest;
  }

  // Every object newer than `position` becomes idle. O(1).
  void RewindTo(Position position) noexcept {
    if (position.last != nullptr) position.bytes += position.last->bytes;
    unsorted_.Append(live_.CutBehind(position));
  }

  // The live objects of `other` become the newest of these; its idle ones stay where they are.
  // O(1).
  void Absorb(LargeObjects& other) noexcept { live_.Splice(other.live_); }

  // Gives idle blocks back, the largest first, until at most `keep_bytes` are idle; returns the
  // bytes given.
  size_t TrimIdle(MemoryResource& upstream, size_t keep_bytes, BlockHook stale) noexcept;

  size_t live_count() const noexcept { return live_.count(); }
  size_t live_bytes() const noexcept { return live_.bytes(); }
  size_t idle_bytes() const noexcept { return unsorted_.bytes() + sorted_bytes_; }
  size_t held_bytes() const noexcept { return live_bytes() + idle_bytes(); }

  // True if `p` points into a live object.
  bool Contains(const void* p) const noexcept;

 private:
  struct Header : BlockLink {
    boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>> hook;
  };
  struct BySize {
    using type = size_t;
    type operator()(const Header& header) const noexcept { return header.bytes; }
  };
  using IdleTree = boost::intrusive::multiset<
      Header,
      boost::intrusive::member_hook<
          Header, boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>>,
          &Header::hook>,
      boost::intrusive::key_of_value<BySize>, boost::intrusive::constant_time_size<false>>;

  void SortIdle() noexcept;
  Header* TakeIdle(size_t bytes) noexcept;

  BlockList live_;
  // Idle blocks as a reset left them; the next search sorts them into the tree.
  BlockList unsorted_;
  IdleTree sorted_;
  size_t sorted_bytes_ = 0;
};

}  // namespace granary

#endif  // GRANARY_ARENA_LARGE_OBJECTS_H_
