// Where the recordings are that others have made and that are not in the repository: N. Megiddo and
// D. S. Modha's ("ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003).
#ifndef GRANARY_BENCH_CACHE_SIM_RECORDINGS_H_
#define GRANARY_BENCH_CACHE_SIM_RECORDINGS_H_

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace granary::bench {

// Where cache/`name` is, whether it is there or not: in the folder that GRANARY_TRACES names, or
// else in ../shared/traces beside the workspace. `link` is of a file of the workspace, two folders
// below its root, of which the runfiles have a link.
inline std::filesystem::path RecordingPath(const std::string& name,
                                           const std::filesystem::path& link) {
  namespace fs = std::filesystem;
  if (const char* folder = std::getenv("GRANARY_TRACES")) return fs::path(folder) / "cache" / name;
  std::error_code ignored;
  const fs::path here = fs::canonical(link, ignored);
  return here.parent_path() / "../../../shared/traces/cache" / name;
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CACHE_SIM_RECORDINGS_H_
