// Files that are there whole or not at all, and a folder for what is thrown away.
#ifndef GRANARY_BENCH_REPORT_OUTPUT_FILE_H_
#define GRANARY_BENCH_REPORT_OUTPUT_FILE_H_

#include <filesystem>
#include <string>
#include <string_view>

#include "bench/report/failure.h"

namespace granary::bench {

// Says what stands against writing this file, before there is anything to write. Leaves nothing
// behind. `what` names the file in messages, `--json` for example.
OrFailure<void> CheckWritable(std::string_view what, const std::filesystem::path& path);

// Replaces the file in one step. What is not a regular file (/dev/stdout) is written to directly.
OrFailure<void> WriteWhole(const std::filesystem::path& path, std::string_view text);

// A new folder below the system's folder for temporary files; removed with all its contents.
class ScratchFolder {
 public:
  static OrFailure<ScratchFolder> Create();

  ScratchFolder(ScratchFolder&& other) noexcept;
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_OUTPUT_FILE_H_
