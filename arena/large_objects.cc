#include "arena/large_objects.h"

#include <cstdint>
#include <iterator>
#include <new>

namespace granary {

namespace {

void* Payload(BlockLink* block) noexcept {
  return reinterpret_cast<std::byte*>(block) + LargeObjects::kHeaderBytes;
}

size_t PayloadBytes(const BlockLink* block) noexcept {
  return block->bytes - LargeObjects::kHeaderBytes;
}

void* AlignPointer(void* p, size_t alignment) noexcept {
  return reinterpret_cast<void*>(AlignUp(reinterpret_cast<uintptr_t>(p), alignment));
}

}  // namespace

void* LargeObjects::TryAllocate(MemoryResource& upstream, size_t bytes, size_t alignment,
                                BlockHook fresh, BlockHook stale) noexcept {
  static_assert(sizeof(Header) <= kHeaderBytes && kHeaderBytes % kDefaultAlignment == 0);
  // A block is aligned to kDefaultAlignment; the rest of a larger alignment is room in front.
  const size_t slack = alignment > kDefaultAlignment ? alignment - kDefaultAlignment : 0;
  if (bytes > size_t{PTRDIFF_MAX} - kHeaderBytes - slack) return nullptr;
  const size_t block_bytes = kHeaderBytes + slack + bytes;

  Header* header = TakeIdle(block_bytes);
  if (header == nullptr) {
    void* block = upstream.TryAllocate(block_bytes, MemoryResource::kChainAlignment);
    const size_t idle = idle_bytes();
    if (block != nullptr) {
      TrimIdle(upstream, idle > block_bytes ? idle - block_bytes : 0, stale);
    } else if (idle != 0) {
      // Upstream is at its limit, perhaps for what lies idle here.
      TrimIdle(upstream, 0, stale);
      block = upstream.TryAllocate(block_bytes, MemoryResource::kChainAlignment);
    }
    if (block == nullptr) return nullptr;
    header = new (block) Header;
    header->bytes = block_bytes;
    if (fresh != nullptr) fresh(Payload(header), PayloadBytes(header));
  }
  live_.Append(header);
  return AlignPointer(Payload(header), alignment);
}

bool LargeObjects::TryResizeNewest(MemoryResource& upstream, const void* p, size_t bytes) noexcept {
  BlockLink* const newest = live_.chain().last;
  if (newest == nullptr || p != Payload(newest)) return false;
  if (bytes > size_t{PTRDIFF_MAX} - kHeaderBytes) return false;
  const size_t block_bytes = kHeaderBytes + bytes;
  if (!upstream.TryResize(newest, newest->bytes, block_bytes, MemoryResource::kChainAlignment)) {
    return false;
  }
  live_.ResizeLast(block_bytes);
  return true;
}

void LargeObjects::SortIdle() noexcept {
  const BlockChain chain = unsorted_.TakeAll();
  sorted_bytes_ += chain.bytes;
  BlockLink* link = chain.first;
  for (size_t i = 0; i < chain.count; ++i) {
    BlockLink* const next = link->next;
    sorted_.insert(static_cast<Header&>(*link));
    link = next;
  }
}

LargeObjects::Header* LargeObjects::TakeIdle(size_t bytes) noexcept {
  if (idle_bytes() == 0) return nullptr;
  SortIdle();
  const auto it = sorted_.lower_bound(bytes);
  if (it == sorted_.end()) return nullptr;
  Header& header = *it;
  sorted_.erase(it);
  sorted_bytes_ -= header.bytes;
  return &header;
}

size_t LargeObjects::TrimIdle(MemoryResource& upstream, size_t keep_bytes,
                              BlockHook stale) noexcept {
  if (idle_bytes() <= keep_bytes) return 0;
  BlockList going;
  if (keep_bytes == 0) {
    going.Splice(unsorted_);
  } else {
    SortIdle();
  }
  while (sorted_bytes_ > keep_bytes) {
    const auto largest = std::prev(sorted_.end());
    Header& header = *largest;
    sorted_.erase(largest);
    sorted_bytes_ -= header.bytes;
    going.Append(&header);
  }
  BlockLink* link = going.first();
  for (size_t i = 0; stale != nullptr && i < going.count(); ++i, link = link->next) {
    stale(Payload(link), PayloadBytes(link));
  }
  upstream.ReleaseChain(going.chain());
  return going.bytes();
}

bool LargeObjects::Contains(const void* p) const noexcept {
  const auto address = reinterpret_cast<uintptr_t>(p);
  BlockLink* link = live_.first();
  for (size_t i = 0; i < live_.count(); ++i, link = link->next) {
    const auto begin = reinterpret_cast<uintptr_t>(Payload(link));
    if (address >= begin && address - begin < PayloadBytes(link)) return true;
  }
  return false;
}

}  // namespace granary
