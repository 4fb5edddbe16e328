// The arenas that several threads share, each behind the same few functions, so that a case is
// written once:
//
//   kName               the last part of the benchmark's name
//   Attach(thread)      what thread number `thread` of the round holds while it allocates; called
//                       on that thread, again in every round
//   Aligned8(bytes)     of what Attach gave: memory aligned to 8 bytes
//   Reset()             what a user of the library does to start over, when no thread is in a call
//   Contend()           where the library remembers for a thread that it has met contention: makes
//                       the calling thread one that has; false if that does not come about
#ifndef GRANARY_BENCH_CONCURRENT_ARENAS_H_
#define GRANARY_BENCH_CONCURRENT_ARENAS_H_

#include <google/protobuf/arena.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "arena/arena.h"
#include "arena/concurrent_arena.h"
#include "bench/arena/raw.h"
#include "memory/concurrent_arena.h"

namespace granary::bench {

// Where the size of blocks can be chosen; granary's grow to as much by themselves.
inline constexpr size_t kBlockBytes = size_t{1} << 20;

// Each call finds the thread's lane.
class GranaryConcurrent {
 public:
  static constexpr const char* kName = "granary";
  struct Held {
    ConcurrentArena* arena;
    void* Aligned8(size_t bytes) const { return arena->TryAllocate(bytes, 8); }
  };

  explicit GranaryConcurrent(size_t /*threads*/) {}
  Held Attach(size_t /*thread*/) { return {&arena_}; }
  void Reset() { arena_.Reset(); }

 private:
  ConcurrentArena arena_{{.retention = Retention::KeepAll()}};
};

// The thread holds its lane.
class GranaryLane {
 public:
  static constexpr const char* kName = "granary_lane";
  struct Held {
    ConcurrentArena::Lane* lane;
    void* Aligned8(size_t bytes) const { return lane->TryAllocate(bytes, 8); }
  };

  explicit GranaryLane(size_t /*threads*/) {}
  Held Attach(size_t /*thread*/) { return {&arena_.ThisLane()}; }
  void Reset() { arena_.Reset(); }

 private:
  ConcurrentArena arena_{{.retention = Retention::KeepAll()}};
};

// An Arena for each thread, which share nothing: what a lane is measured by.
class GranaryArenas {
 public:
  static constexpr const char* kName = "granary_arena";
  struct Held {
    Arena* arena;
    void* Aligned8(size_t bytes) const { return arena->TryAllocate(bytes, 8); }
  };

  explicit GranaryArenas(size_t threads) : own_(threads) {}
  Held Attach(size_t thread) { return {&own_[thread].arena}; }
  void Reset() {
    for (Own& own : own_) own.arena.Reset();
  }

 private:
  struct alignas(64) Own {
    Arena arena{{.retention = Retention::KeepAll(), .checks = Checks::kOff}};
  };
  std::vector<Own> own_;
};

// One Arena for all, each call under a mutex.
class MutexArena {
 public:
  static constexpr const char* kName = "mutex_arena";
  struct Held {
    MutexArena* shared;
    void* Aligned8(size_t bytes) const {
      const std::lock_guard lock(shared->mutex_);
      return shared->arena_.TryAllocate(bytes, 8);
    }
  };

  explicit MutexArena(size_t /*threads*/) {}
  Held Attach(size_t /*thread*/) { return {this}; }
  void Reset() { arena_.Reset(); }

 private:
  std::mutex mutex_;
  Arena arena_{{.retention = Retention::KeepAll(), .checks = Checks::kOff}};
};

// RocksDB's, as an object whose class is known. A thread goes to the common arena under a spin lock
// until it once finds that taken; from then on, and for all arenas, it goes to a shard with a lock
// of its own.
class RocksdbConcurrent {
 public:
  static constexpr const char* kName = "rocksdb_concurrent";
  using Shared = rocksdb::ConcurrentArena;
  struct Held {
    Shared* arena;
    void* Aligned8(size_t bytes) const { return arena->Shared::AllocateAligned(bytes); }
  };

  explicit RocksdbConcurrent(size_t /*threads*/) { Reset(); }
  Held Attach(size_t /*thread*/) { return {&*arena_}; }
  void Reset() { arena_.emplace(kBlockBytes); }

  // Two threads ask for pieces until they have met. One of them goes to another shard then, and the
  // one that stays meets nobody any more: another new thread has to come.
  static bool Contend() {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!UsesShards() && std::chrono::steady_clock::now() < give_up) {
      Shared arena(kBlockBytes);
      std::atomic<bool> met = false;
      const auto allocate = [&] {
        for (int checks = 0; checks < 1000 && !met; ++checks) {
          for (int i = 0; i < 200; ++i) (void)arena.AllocateAligned(512);
          if (UsesShards()) met = true;
        }
      };
      std::thread other(allocate);
      allocate();
      other.join();
    }
    return UsesShards();
  }

  // The calling thread goes to shards. Within a shard, strings stand at the end of 128 KiB, within
  // the common arena at the end of the block of 1 MiB.
  static bool UsesShards() {
    Shared arena(kBlockBytes);
    // Behind what the arena has inside itself, which everyone goes to.
    for (int i = 0; i < 8; ++i) (void)arena.AllocateAligned(512);
    const char* const aligned = arena.AllocateAligned(8);
    const char* const string = arena.Allocate(3);
    return std::abs(string - aligned) < ptrdiff_t{256} << 10;
  }

 private:
  std::optional<Shared> arena_;
};

class ProtobufArena {
 public:
  static constexpr const char* kName = "protobuf";
  struct Held {
    google::protobuf::Arena* arena;
    void* Aligned8(size_t bytes) const { return arena->AllocateAligned(bytes); }
  };

  explicit ProtobufArena(size_t /*threads*/) {}
  Held Attach(size_t /*thread*/) { return {&arena_}; }
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

// The shortest loop by hand, a block for each thread, round and round.
class RawPerThread {
 public:
  static constexpr const char* kName = "raw";
  struct Held {
    Raw<kBlockBytes>* raw;
    void* Aligned8(size_t bytes) const { return raw->Aligned8(bytes); }
  };

  explicit RawPerThread(size_t threads) : own_(threads) {}
  Held Attach(size_t thread) { return {&own_[thread].raw}; }
  void Reset() {
    for (Own& own : own_) own.raw.Reset();
  }

 private:
  struct alignas(64) Own {
    Raw<kBlockBytes> raw;
  };
  std::vector<Own> own_;
};

// Calls `visit.operator()<Implementation>()` for each of them.
template <class Visitor>
void ForEachImplementation(const Visitor& visit) {
  visit.template operator()<GranaryConcurrent>();
  visit.template operator()<GranaryLane>();
  visit.template operator()<GranaryArenas>();
  visit.template operator()<RocksdbConcurrent>();
  visit.template operator()<ProtobufArena>();
  visit.template operator()<MutexArena>();
  visit.template operator()<RawPerThread>();
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CONCURRENT_ARENAS_H_
