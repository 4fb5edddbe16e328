// BlockList: blocks linked forward through their own first bytes, with O(1) append, splice and cut.
#ifndef GRANARY_ARENA_BLOCK_LIST_H_
#define GRANARY_ARENA_BLOCK_LIST_H_

#include <cstddef>
#include <utility>

#include "memory/memory_resource.h"

namespace granary {

// Owns nothing: whoever holds the list gives the blocks back. One thread.
class BlockList {
 public:
  // A place in the list, behind `last`; the place of an empty list is the default.
  struct Position {
    BlockLink* last = nullptr;
    size_t count = 0;
    size_t bytes = 0;
  };

  bool empty() const noexcept { return chain_.count == 0; }
  BlockLink* first() const noexcept { return chain_.first; }
  size_t count() const noexcept { return chain_.count; }
  size_t bytes() const noexcept { return chain_.bytes; }
  const BlockChain& chain() const noexcept { return chain_; }
  Position end() const noexcept { return {chain_.last, chain_.count, chain_.bytes}; }

  void Append(BlockLink* block) noexcept {
    block->next = nullptr;
    Append(BlockChain{block, block, 1, block->bytes});
  }

  // Everything of `other` goes to the end of this list.
  void Splice(BlockList& other) noexcept { Append(std::exchange(other.chain_, BlockChain{})); }

  // Cuts off and returns what lies behind `position`, which end() gave and which is still in the
  // list.
  BlockChain CutBehind(const Position& position) noexcept {
    BlockChain rest = chain_;
    if (position.last != nullptr) {
      rest = {position.last->next, chain_.last, chain_.count - position.count,
              chain_.bytes - position.bytes};
      position.last->next = nullptr;
    }
    chain_.last = position.last;
    chain_.count = position.count;
    chain_.bytes = position.bytes;
    if (position.last == nullptr) chain_.first = nullptr;
    return rest.count == 0 ? BlockChain{} : rest;
  }

  BlockChain TakeAll() noexcept { return std::exchange(chain_, BlockChain{}); }

  void Append(const BlockChain& chain) noexcept {
    if (chain.count == 0) return;
    (chain_.last == nullptr ? chain_.first : chain_.last->next) = chain.first;
    chain_.last = chain.last;
    chain_.last->next = nullptr;
    chain_.count += chain.count;
    chain_.bytes += chain.bytes;
  }

  // The size of the last block has changed in place.
  void ResizeLast(size_t bytes) noexcept {
    chain_.bytes += bytes - chain_.last->bytes;
    chain_.last->bytes = bytes;
  }

 private:
  BlockChain chain_;
};

}  // namespace granary

#endif  // GRANARY_ARENA_BLOCK_LIST_H_
