// What the report knows about the implementations that suites measure: who is granary, who is a
// peer, and who is only a limit. Everything that depends on an implementation's name is here.
#ifndef GRANARY_BENCH_REPORT_IMPLEMENTATIONS_H_
#define GRANARY_BENCH_REPORT_IMPLEMENTATIONS_H_

#include <string_view>

namespace granary::bench {

enum class Role {
  kGranary,  // `granary` and its variants, `granary_...`: what is judged, never a peer.
  kLimit,    // What no allocator can beat, as it does less than one: shown, never a peer.
  kPeer,     // Everything else.
};

Role RoleOf(std::string_view implementation);

// The peer that granary is measured against in the first place.
inline constexpr std::string_view kReference = "rocksdb";
// Whether the implementation stands for that peer in its case: the peer's own name, what it has for
// many threads, or the better of its caches.
bool IsReference(std::string_view implementation);
// The implementation that stands for granary in a case, where it is there.
inline constexpr std::string_view kGranary = "granary";
// The limit that the table shows.
inline constexpr std::string_view kLimit = "raw";

// `#rrggbb`, legible on white and on black, the same for an implementation in every plot.
std::string_view ColorOf(std::string_view implementation);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_IMPLEMENTATIONS_H_
