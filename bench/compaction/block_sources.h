// What the fragmentation workloads allocate from: blocks of any size, all of whose bytes are
// written. A workload finds them full at the same number of bytes.
//
//   std::optional<Block> Allocate(uint64_t bytes);   // Nothing if it is full.
//   void Free(Block block, uint64_t bytes);
#ifndef GRANARY_BENCH_COMPACTION_BLOCK_SOURCES_H_
#define GRANARY_BENCH_COMPACTION_BLOCK_SOURCES_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bench/compaction/checked.h"
#include "bench/program.h"
#include "memory/region/compacting_heap.h"

namespace granary::bench {

inline constexpr std::byte kMark{0x5A};

class HeapBlocks {
 public:
  static constexpr const char* kName = "granary";
  using Block = BlockHandle;

  // Over memory of the system.
  explicit HeapBlocks(uint64_t limit_bytes)
      : heap_(Surely(CompactingHeap::Create({.limit_bytes = limit_bytes}))) {}
  // Over memory that is there.
  explicit HeapBlocks(std::span<std::byte> memory)
      : heap_(Surely(CompactingHeap::CreateOver(memory))) {}

  std::optional<Block> Allocate(uint64_t bytes) {
    const auto block = heap_->Allocate(bytes);
    if (!block) return std::nullopt;
    Surely(heap_->Fill(*block, 0, bytes, kMark));
    return *block;
  }
  void Free(Block block, uint64_t /*bytes*/) { Surely(heap_->Free(block)); }

  CompactingHeap& heap() noexcept { return *heap_; }

 private:
  std::unique_ptr<CompactingHeap> heap_;
};

class MallocBlocks {
 public:
  static constexpr const char* kName = GRANARY_BENCH_MALLOC_NAME;
  using Block = std::byte*;

  explicit MallocBlocks(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  std::optional<Block> Allocate(uint64_t bytes) {
    if (bytes > limit_bytes_ - live_bytes_) return std::nullopt;
    auto* const block = static_cast<Block>(std::malloc(bytes));
    if (block == nullptr) return std::nullopt;
    std::memset(block, static_cast<int>(kMark), bytes);
    live_bytes_ += bytes;
    return block;
  }
  void Free(Block block, uint64_t bytes) {
    std::free(block);
    live_bytes_ -= bytes;
  }

 private:
  const uint64_t limit_bytes_;
  uint64_t live_bytes_ = 0;
};

// The target of a workload: counts what it does, and knows what is left in the end.
template <class Source>
class CountingTarget {
 public:
  struct Object {
    typename Source::Block block;
    uint64_t bytes;
  };

  // `keeps`: the objects that are left are to be freed by FreeLeft.
  CountingTarget(Source& source, bool keeps) : source_(source), keeps_(keeps) {}

  std::optional<Object> Allocate(uint64_t bytes) {
    const auto block = source_.Allocate(bytes);
    if (!block) return std::nullopt;
    ++operations_;
    return Object{*block, bytes};
  }
  void Free(const Object& object) {
    source_.Free(object.block, object.bytes);
    ++operations_;
  }
  void Remains(const Object& object) {
    left_bytes_ += object.bytes;
    if (keeps_) left_.push_back(object);
  }

  void FreeLeft() {
    for (const Object& object : left_) source_.Free(object.block, object.bytes);
    left_.clear();
    left_bytes_ = 0;
  }

  // Allocations and frees, without those of FreeLeft.
  uint64_t operations() const noexcept { return operations_; }
  uint64_t left_bytes() const noexcept { return left_bytes_; }
  const std::vector<Object>& left() const noexcept { return left_; }

 private:
  Source& source_;
  const bool keeps_;
  std::vector<Object> left_;
  uint64_t operations_ = 0;
  uint64_t left_bytes_ = 0;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_BLOCK_SOURCES_H_
