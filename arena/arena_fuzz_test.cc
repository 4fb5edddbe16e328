// Any sequence of calls on a checked Arena, with any sizes and alignments: it serves or refuses,
// finds no misuse where there is none, and no live byte changes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "arena/arena.h"
#include "memory/malloc_resource.h"
#include "memory/testing/fuzz_input.h"

namespace {

struct Object {
  unsigned char* p;
  size_t bytes;
  size_t alignment;
  unsigned char value;
};

struct Mark {
  granary::ArenaMark mark;
  size_t object_count;
  size_t deferred_count;
  size_t asked_bytes;
};

// Verifies what lives behind the first `keep` objects, and forgets it.
void Drop(std::vector<Object>& objects, size_t keep) {
  for (size_t i = keep; i < objects.size(); ++i) {
    for (size_t k = 0; k < objects[i].bytes; ++k)
      granary::FuzzCheck(objects[i].p[k] == objects[i].value);
  }
  objects.resize(keep);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMostLiveBytes = size_t{4} << 20;
  granary::FuzzInput input(data, size);
  const uint64_t choice = input.Number(1);
  granary::MallocResource upstream;
  const granary::Retention retentions[] = {
      granary::Retention::Adaptive(), granary::Retention::KeepAll(),
      granary::Retention::KeepBytes(10'000), granary::Retention::Release()};
  const granary::ArenaOptions options = {
      .first_block_bytes = (choice & 4) != 0 ? size_t{256} : size_t{4096},
      .max_block_bytes = (choice & 8) != 0 ? size_t{4096} : size_t{1} << 18,
      .retention = retentions[choice % 4],
      .upstream = &upstream,
      .checks = granary::Checks::kOn};
  std::vector<std::byte> given((choice & 16) != 0 ? 1000 : 0);
  std::vector<Object> objects;
  std::vector<Mark> marks;
  size_t deferred = 0;
  size_t live_bytes = 0;
  {
    granary::Arena arena(std::span<std::byte>(given), options);
    const auto keep = [&](granary::Arena& where, void* p, size_t bytes, size_t alignment) {
      if (p == nullptr) return;
      granary::FuzzCheck(reinterpret_cast<uintptr_t>(p) % alignment == 0);
      granary::FuzzCheck(where.Contains(p));
      const auto value = static_cast<unsigned char>(objects.size() * 37 + bytes);
      std::memset(p, value, bytes);
      objects.push_back({static_cast<unsigned char*>(p), bytes, alignment, value});
      live_bytes += bytes + alignment;
    };
    const auto forget = [&](size_t object_count) {
      Drop(objects, object_count);
      live_bytes = 0;
      for (const Object& object : objects) live_bytes += object.bytes + object.alignment;
    };
    while (!input.empty()) {
      const uint64_t command = input.Number(1);
      if (live_bytes > kMostLiveBytes) {
        forget(0);
        marks.clear();
        arena.Reset();
        granary::FuzzCheck(deferred == 0);
      }
      switch (command % 12) {
        case 0:
        case 1: {
          const uint64_t shape = input.Number(1);
          const size_t bytes = input.Number(2) >> (shape / 16);
          const size_t alignment = size_t{1} << shape % 14;
          keep(arena, arena.TryAllocate(bytes, alignment), bytes, alignment);
          break;
        }
        case 2: {
          const size_t bytes = input.Number(1);
          keep(arena, arena.TryAllocateBytes(bytes), bytes, 1);
          break;
        }
        case 3: {
          // Mostly nonsense: an alignment that is no power of two, a size that overflows.
          const size_t bytes = input.Number(8);
          const size_t alignment = input.Number(3);
          if (bytes <= kMostLiveBytes || bytes < PTRDIFF_MAX) break;
          granary::FuzzCheck(arena.TryAllocate(bytes, alignment) == nullptr);
          if ((alignment & (alignment - 1)) != 0) {
            granary::FuzzCheck(arena.TryAllocate(8, alignment) == nullptr);
          }
          break;
        }
        case 4: {
          // An object that is older than a mark keeps its size: a shrink would end the mark.
          const size_t oldest = marks.empty() ? 0 : marks.back().object_count;
          if (objects.size() <= oldest) break;
          Object& object = objects.back();
          const size_t bytes = input.Number(2);
          if (bytes == 0 || object.bytes == 0) break;
          if (!arena.TryResize(object.p, object.bytes, bytes, object.alignment)) break;
          for (size_t i = 0; i < std::min(bytes, object.bytes); ++i) {
            granary::FuzzCheck(object.p[i] == object.value);
          }
          std::memset(object.p, object.value, bytes);
          live_bytes += bytes;
          object.bytes = bytes;
          break;
        }
        case 5:
          if (arena.TryDefer([](void* count) { --*static_cast<size_t*>(count); }, &deferred)) {
            ++deferred;
          }
          break;
        case 6:
          marks.push_back({arena.Mark(), objects.size(), deferred, arena.Stats().asked_bytes});
          break;
        case 7: {
          if (marks.empty()) break;
          marks.resize(input.Number(1) % marks.size() + 1);
          const Mark& mark = marks.back();
          forget(mark.object_count);
          arena.Rewind(mark.mark);
          granary::FuzzCheck(deferred == mark.deferred_count);
          granary::FuzzCheck(arena.Stats().asked_bytes == mark.asked_bytes);
          break;
        }
        case 8:
          if (command < 128) break;
          forget(0);
          marks.clear();
          arena.Reset(retentions[input.Number(1) % 4]);
          granary::FuzzCheck(deferred == 0);
          granary::FuzzCheck(arena.Stats().asked_bytes == 0);
          break;
        case 9: {
          granary::Arena other(options);
          const size_t bytes = input.Number(2);
          keep(other, other.TryAllocate(bytes, 8), bytes, 8);
          keep(other, other.TryAllocateBytes(bytes / 16), bytes / 16, 1);
          granary::FuzzCheck(arena.Absorb(std::move(other)));
          granary::FuzzCheck(other.Stats().asked_bytes == 0);
          break;
        }
        case 10: {
          const size_t held = arena.Stats().held_bytes;
          granary::FuzzCheck(arena.Trim() == held - arena.Stats().held_bytes);
          break;
        }
        case 11:
          if (!objects.empty()) {
            const Object& object = objects[input.Number(1) % objects.size()];
            for (size_t i = 0; i < object.bytes; ++i)
              granary::FuzzCheck(object.p[i] == object.value);
          }
          break;
      }
      const granary::MemoryStats stats = arena.Stats();
      granary::FuzzCheck(stats.asked_bytes <= stats.used_bytes &&
                         stats.used_bytes <= stats.held_bytes);
    }
    forget(0);
  }
  granary::FuzzCheck(deferred == 0);
  granary::FuzzCheck(upstream.live_count() == 0);
  return 0;
}
