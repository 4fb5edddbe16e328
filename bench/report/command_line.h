// What the programs of bench/ have in common at the command line.
#ifndef GRANARY_BENCH_REPORT_COMMAND_LINE_H_
#define GRANARY_BENCH_REPORT_COMMAND_LINE_H_

#include <filesystem>
#include <string>

#include "bench/report/failure.h"

// NOLINTNEXTLINE(readability-identifier-naming): the library's name.
namespace CLI {
class App;
}  // namespace CLI

namespace granary::bench {

// `bazel run` starts programs in its own folders and says in variables where the person stands and
// where the workspace is; without them both are the current folder.
std::filesystem::path WhereThePersonStands();
std::filesystem::path WorkspaceRoot();
// A path as it was typed.
std::filesystem::path AsThePersonMeans(const std::string& given);

// For messages, which are a line.
std::string OneLine(std::string text);

// The answer to --help if that was asked for, and otherwise nothing: then all options are set.
OrFailure<std::string> ParseCommandLine(CLI::App& app, int argc, const char* const* argv);

// Where `flag` wants a file written; a failure if it cannot be.
OrFailure<std::filesystem::path> OutputPath(const std::string& flag, const std::string& given);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_COMMAND_LINE_H_
