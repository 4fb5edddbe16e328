// The arenas under measurement, each behind the same few functions, so that a case is written once:
//
//   kName               the last part of the benchmark's name
//   Aligned(bytes)      memory aligned to 16 bytes, in the way that the library has for it
//   Aligned8(bytes)     memory aligned to 8 bytes, or to more where the library has nothing less
//   Bytes(bytes)        a byte string, without alignment
//   Reset()             what a user of the library does to start over: reset where there is one,
//   otherwise
//                       destroy and construct
//   Resource()          the resource to give to standard containers
//
// An implementation leaves out what its library does not have. The size of a block is a template
// parameter because LLVM's is one.
#ifndef GRANARY_BENCH_ARENA_ARENAS_H_
#define GRANARY_BENCH_ARENA_ARENAS_H_

#include <benchmark/benchmark.h>
#include <google/protobuf/arena.h>
#include <llvm/Support/Allocator.h>

#include <array>
#include <cstddef>
#include <memory_resource>
#include <optional>

#include "arena/arena.h"
#include "memory/arena.h"
// RocksDB's memtable sees both of its arenas; with one alone in sight the compiler would guess the
// target of a call through the interface.
#include "memory/concurrent_arena.h"
#include "util/arena.h"

namespace granary::bench {

// Keeps its blocks: every case starts over with the same use again.
template <size_t kBlockBytes>
class GranaryArena {
 public:
  static constexpr const char* kName = "granary";

  void* Aligned(size_t bytes) { return arena_.TryAllocate(bytes, 16); }
  void* Aligned8(size_t bytes) { return arena_.TryAllocate(bytes, 8); }
  void* Bytes(size_t bytes) { return arena_.TryAllocateBytes(bytes); }
  void Reset() { arena_.Reset(); }
  std::pmr::memory_resource* Resource() { return &arena_; }

 private:
  Arena arena_{ArenaOptions{.first_block_bytes = kBlockBytes,
                            .max_block_bytes = kBlockBytes,
                            .retention = Retention::KeepAll()}};
};

// For counting: with the first 2 KiB within the object, as RocksDB's arena has them.
template <size_t kBlockBytes>
class GranaryInline {
 public:
  static constexpr const char* kName = "granary";

  void* Aligned8(size_t bytes) { return arena_.TryAllocate(bytes, 8); }
  void* Bytes(size_t bytes) { return arena_.TryAllocateBytes(bytes); }

 private:
  alignas(16) std::array<std::byte, 2048> first_block_;
  Arena arena_{first_block_,
               ArenaOptions{.first_block_bytes = kBlockBytes, .max_block_bytes = kBlockBytes}};
};

// A new arena each time, with the 2 KiB inside it that RocksDB's arena has.
template <size_t kBlockBytes>
class GranaryFresh {
 public:
  static constexpr const char* kName = "granary_fresh";

  GranaryFresh() { Reset(); }

  void* Aligned(size_t bytes) { return arena_->TryAllocate(bytes, 16); }
  void Reset() {
    arena_.emplace(first_block_,
                   ArenaOptions{.first_block_bytes = kBlockBytes, .max_block_bytes = kBlockBytes});
  }

 private:
  alignas(16) std::array<std::byte, 2048> first_block_;
  std::optional<Arena> arena_;
};

// RocksDB's arena as an object whose class is known: the qualified calls are what the compiler
// makes of `arena.Allocate()` where `arena` is a variable.
template <size_t kBlockBytes>
class RocksdbArena {
 public:
  static constexpr const char* kName = "rocksdb";

  RocksdbArena() { Reset(); }

  void* Aligned(size_t bytes) { return arena_->rocksdb::Arena::AllocateAligned(bytes); }
  void* Aligned8(size_t bytes) { return Aligned(bytes); }
  void* Bytes(size_t bytes) { return arena_->rocksdb::Arena::Allocate(bytes); }
  void Reset() { arena_.emplace(kBlockBytes); }

 private:
  std::optional<rocksdb::Arena> arena_;
};

// The same arena through rocksdb::Allocator, as memtables hold it.
template <size_t kBlockBytes>
class RocksdbInterface {
 public:
  static constexpr const char* kName = "rocksdb_interface";

  RocksdbInterface() { Reset(); }

  void* Aligned(size_t bytes) { return allocator_->AllocateAligned(bytes); }
  void* Bytes(size_t bytes) { return allocator_->Allocate(bytes); }
  void Reset() {
    rocksdb::Allocator* allocator = &arena_.emplace(kBlockBytes);
    // From here on the compiler cannot know what the pointer points to.
    benchmark::DoNotOptimize(allocator);
    allocator_ = allocator;
  }

 private:
  std::optional<rocksdb::Arena> arena_;
  rocksdb::Allocator* allocator_;
};

// LevelDB's blocks have 4 KiB and its alignment is 8 bytes; neither can be chosen.
template <size_t /*kBlockBytes*/>
class LeveldbArena {
 public:
  static constexpr const char* kName = "leveldb";

  LeveldbArena() { Reset(); }

  void* Aligned8(size_t bytes) { return arena_->AllocateAligned(bytes); }
  void* Bytes(size_t bytes) { return arena_->Allocate(bytes); }
  void Reset() { arena_.emplace(); }

 private:
  std::optional<leveldb::Arena> arena_;
};

template <size_t kBlockBytes>
class LlvmArena {
 public:
  static constexpr const char* kName = "llvm";

  void* Aligned(size_t bytes) { return arena_.Allocate(bytes, llvm::Align(16)); }
  void* Aligned8(size_t bytes) { return arena_.Allocate(bytes, llvm::Align(8)); }
  void* Bytes(size_t bytes) { return arena_.Allocate(bytes, llvm::Align(1)); }
  void Reset() { arena_.Reset(); }

 private:
  llvm::BumpPtrAllocatorImpl<llvm::MallocAllocator, kBlockBytes, kBlockBytes> arena_;
};

template <size_t kBlockBytes>
class ProtobufArena {
 public:
  static constexpr const char* kName = "protobuf";

  // For more than 8 bytes of alignment it takes multiples of 8 only.
  void* Aligned(size_t bytes) { return arena_.AllocateAligned((bytes + 7) & ~size_t{7}, 16); }
  void* Aligned8(size_t bytes) { return arena_.AllocateAligned(bytes); }
  void Reset() { arena_.Reset(); }

 private:
  static google::protobuf::ArenaOptions Options() {
    google::protobuf::ArenaOptions options;
    options.start_block_size = kBlockBytes;
    options.max_block_size = kBlockBytes;
    return options;
  }

  google::protobuf::Arena arena_{Options()};
};

// The standard library's; each of its blocks is half as large again as the one before.
template <size_t kBlockBytes>
class PmrArena {
 public:
  static constexpr const char* kName = "pmr";

  void* Aligned(size_t bytes) { return resource_.allocate(bytes, 16); }
  void* Aligned8(size_t bytes) { return resource_.allocate(bytes, 8); }
  void* Bytes(size_t bytes) { return resource_.allocate(bytes, 1); }
  void Reset() { resource_.release(); }
  std::pmr::memory_resource* Resource() { return &resource_; }

 private:
  std::pmr::monotonic_buffer_resource resource_{kBlockBytes};
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_ARENAS_H_
