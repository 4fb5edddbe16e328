// A folder for the files of a benchmark, where TMPDIR says, which goes with all that is in it.
#ifndef GRANARY_BENCH_COMPACTION_TEMPORARY_FOLDER_H_
#define GRANARY_BENCH_COMPACTION_TEMPORARY_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "bench/program.h"

namespace granary::bench {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(std::filesystem::temp_directory_path() / "granary_bench_XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) Die("no folder can be made like " + path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_TEMPORARY_FOLDER_H_
