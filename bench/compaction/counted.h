// Counted benchmarks: each counts once, in a process of its own, so that nothing is there of what
// was measured before.
#ifndef GRANARY_BENCH_COMPACTION_COUNTED_H_
#define GRANARY_BENCH_COMPACTION_COUNTED_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace granary::bench {

using Counts = std::map<std::string, double>;

struct CountedCase {
  std::string name;
  std::function<Counts()> count;
};

// The argument by which this program is told to print the counts of one case, and nothing else.
inline constexpr const char* kCountFlag = "--count=";

// False if there is no such case.
bool PrintCounts(const std::vector<CountedCase>& cases, const std::string& name);

void RegisterCounted(const std::vector<CountedCase>& cases);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_COUNTED_H_
