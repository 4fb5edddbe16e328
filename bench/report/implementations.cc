#include "bench/report/implementations.h"

#include <array>
#include <cstdint>

namespace granary::bench {
namespace {

struct Known {
  std::string_view prefix;
  Role role;
  std::string_view color;
};

// The first entry whose prefix fits decides. Peers are quieter than granary and the reference.
constexpr std::array kKnown = {
    Known{kGranary, Role::kGranary, "#0f8f6b"},
    Known{kLimit, Role::kLimit, "#8a8f98"},
    Known{"rocksdb_interface", Role::kPeer, "#b8482f"},
    Known{"rocksdb_lru", Role::kPeer, "#b8482f"},
    Known{kReference, Role::kPeer, "#d9622b"},
    Known{"leveldb", Role::kPeer, "#3f7fd1"},
    Known{"protobuf", Role::kPeer, "#9a63c4"},
    Known{"llvm", Role::kPeer, "#b8862b"},
    Known{"apr", Role::kPeer, "#c2578f"},
    Known{"talloc", Role::kPeer, "#6f8f3a"},
    Known{"jemalloc", Role::kPeer, "#2f97a8"},
    Known{"mimalloc", Role::kPeer, "#5a78a8"},
    Known{"tcmalloc", Role::kPeer, "#a3705a"},
    Known{"malloc", Role::kPeer, "#7a6fb0"},
    Known{"pmr", Role::kPeer, "#b5545a"},
    Known{"std", Role::kPeer, "#b5545a"},
    Known{"boost", Role::kPeer, "#4f8f8a"},
    Known{"dpdk", Role::kPeer, "#b8862b"},
    Known{"foonathan", Role::kPeer, "#c2578f"},
    Known{"free_list", Role::kPeer, "#6f8f3a"},
    Known{"bdb", Role::kPeer, "#3f7fd1"},
    Known{"sqlite", Role::kPeer, "#5a78a8"},
    Known{"mmap", Role::kPeer, "#b8862b"},
    Known{"lmdb_cursor", Role::kPeer, "#9a63c4"},
    Known{"lmdb", Role::kPeer, "#3f7fd1"},
    Known{"fio", Role::kPeer, "#3f7fd1"},
};

constexpr std::array<std::string_view, 6> kOtherColors = {"#4c8c6a", "#8c6a9e", "#9e7a4c",
                                                          "#4c7a9e", "#9e4c6a", "#6a7a4c"};

const Known* Find(std::string_view implementation) {
  for (const Known& known : kKnown) {
    if (implementation.starts_with(known.prefix)) {
      return &known;
    }
  }
  return nullptr;
}

}  // namespace

Role RoleOf(std::string_view implementation) {
  const Known* known = Find(implementation);
  return known != nullptr ? known->role : Role::kPeer;
}

bool IsReference(std::string_view implementation) {
  return implementation == kReference || implementation == "rocksdb_concurrent" ||
         implementation == "rocksdb_hyper_clock";
}

std::string_view ColorOf(std::string_view implementation) {
  if (const Known* known = Find(implementation); known != nullptr) {
    return known->color;
  }
  // FNV-1a: the same color in every run.
  uint32_t hash = 2166136261u;
  for (const char c : implementation) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  }
  return kOtherColors[hash % kOtherColors.size()];
}

}  // namespace granary::bench
