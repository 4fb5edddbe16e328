// ArenaScope: takes back, at the end of a C++ scope, what was allocated within it.
//
//   for (const Row& row : rows) {
//     granary::ArenaScope scope(arena);       // O(1): no block is given back or taken
//     std::pmr::string key(row.key(), &arena);
//     ...
//   }
//
// Scopes nest as C++ scopes do. Where checks are on, a scope that ends after an older one has
// ended, or after a Reset, is reported.
#ifndef GRANARY_ARENA_ARENA_SCOPE_H_
#define GRANARY_ARENA_ARENA_SCOPE_H_

#include "arena/arena.h"

namespace granary {

// One thread, the arena's owner. The arena outlives the scope.
class [[nodiscard]] ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) noexcept : arena_(arena), mark_(arena.Mark()) {}
  ~ArenaScope() { arena_.End(mark_); }

  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

  Arena& arena() const noexcept { return arena_; }

 private:
  Arena& arena_;
  const ArenaMark mark_;
};

}  // namespace granary

#endif  // GRANARY_ARENA_ARENA_SCOPE_H_
