#include "bench/traces/rep_trace.h"

#include <zlib.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <system_error>

namespace granary::bench {
namespace {

// The file that tells the directory of the recordings from any other.
constexpr std::string_view kProof = "rocksdb_mixed.rep.gz";

class Parser {
 public:
  Parser(std::string_view text, std::string_view name) : rest_(text), name_(name) {}

  Expected<RepTrace> Parse() {
    RepTrace trace;
    size_t operation_count = 0;
    size_t weight = 0;
    for (size_t* value : {&trace.peak_live_bytes, &trace.id_count, &operation_count, &weight}) {
      NextLine();
      const auto number = NextNumber();
      if (!number || !AtLineEnd()) return Malformed("a header line is not a number");
      *value = *number;
    }
    // The shortest operation line is `f 0`: a header that promises more than the text has is found
    // here, before memory is reserved for it.
    if (trace.id_count > rest_.size() || operation_count > rest_.size()) {
      return Malformed("the header promises more operations than the file can hold");
    }
    if (trace.id_count > std::numeric_limits<uint32_t>::max()) {
      return Malformed("the header promises more ids than there may be");
    }
    states_.assign(trace.id_count, State::kUnused);
    trace.operations.reserve(operation_count);
    for (size_t i = 0; i < operation_count; ++i) {
      if (!NextLine()) return Malformed("the file ends before the last operation");
      if (line_ == "f -1") continue;
      const auto operation = ParseOperation();
      if (!operation) return tl::unexpected(operation.error());
      trace.operations.push_back(*operation);
    }
    while (NextLine()) {
      if (!line_.empty()) return Malformed("there is more behind the last operation");
    }
    return trace;
  }

 private:
  enum class State : uint8_t { kUnused, kLive, kFreed };

  Expected<RepOperation> ParseOperation() {
    const char letter = line_.empty() ? '\0' : line_.front();
    if (letter != 'a' && letter != 'r' && letter != 'f') {
      return Malformed("an operation is none of a, r and f");
    }
    line_.remove_prefix(1);
    const auto id = NextField();
    if (!id || *id >= states_.size()) return Malformed("an id is missing or out of range");
    State& state = states_[*id];
    if (letter == 'a' ? state != State::kUnused : state != State::kLive) {
      return Malformed(letter == 'a' ? "an id is allocated twice"
                                     : "an id is used that is not live");
    }
    state = letter == 'f' ? State::kFreed : State::kLive;
    size_t bytes = 0;
    if (letter != 'f') {
      const auto number = NextField();
      if (!number) return Malformed("a size is missing or out of range");
      bytes = *number;
    }
    if (!AtLineEnd()) return Malformed("there is more behind an operation");
    const auto kind = letter == 'a'   ? RepOperation::Kind::kAllocate
                      : letter == 'r' ? RepOperation::Kind::kReallocate
                                      : RepOperation::Kind::kFree;
    return RepOperation{kind, static_cast<uint32_t>(*id), bytes};
  }

  bool NextLine() {
    ++line_number_;
    if (rest_.empty()) {
      line_ = {};
      return false;
    }
    const size_t end = rest_.find('\n');
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return true;
  }

  // A number behind a space.
  std::optional<size_t> NextField() {
    if (line_.empty() || line_.front() != ' ') return std::nullopt;
    line_.remove_prefix(1);
    return NextNumber();
  }

  std::optional<size_t> NextNumber() {
    size_t value = 0;
    const auto [end, error] = std::from_chars(line_.data(), line_.data() + line_.size(), value);
    if (error != std::errc()) return std::nullopt;
    line_.remove_prefix(static_cast<size_t>(end - line_.data()));
    return value;
  }

  bool AtLineEnd() const { return line_.empty(); }

  tl::unexpected<Error> Malformed(const char* what) const {
    return tl::unexpected(Error{ErrorCode::kInvalidArgument,
                                name_ + ", line " + std::to_string(line_number_) + ": " + what,
                                "ParseRepTrace"});
  }

  std::string_view rest_;
  std::string name_;
  std::string_view line_;
  size_t line_number_ = 0;
  std::vector<State> states_;
};

tl::unexpected<Error> IoError(std::string message, const char* where, int system_errno = 0) {
  return tl::unexpected(Error{ErrorCode::kIo, std::move(message), where, system_errno});
}

}  // namespace

Expected<RepTrace> ParseRepTrace(std::string_view text, std::string_view name) {
  return Parser(text, name).Parse();
}

Expected<RepTrace> ReadRepTrace(const std::string& path) {
  constexpr const char* kWhere = "ReadRepTrace";
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) {
    const int system_errno = errno;
    return IoError(path + " cannot be opened: " + std::strerror(system_errno), kWhere,
                   system_errno);
  }
  std::string text;
  std::array<char, 1 << 16> buffer;
  int count = 0;
  while ((count = gzread(file.get(), buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  // A file that is cut short reads as far as it goes; only gzerror tells.
  int error = Z_OK;
  const char* const message = gzerror(file.get(), &error);
  if (error != Z_OK) return IoError(path + " cannot be read: " + message, kWhere);
  if (path.ends_with(".gz") && gzdirect(file.get()) != 0) {
    return IoError(path + " is not a gzip file", kWhere);
  }
  return ParseRepTrace(text, path);
}

Expected<std::vector<uint32_t>> AllocationSizes(const RepTrace& trace) {
  std::vector<uint32_t> sizes;
  sizes.reserve(trace.operations.size());
  for (const RepOperation& operation : trace.operations) {
    if (operation.kind == RepOperation::Kind::kFree) continue;
    if (operation.bytes > std::numeric_limits<uint32_t>::max()) {
      return tl::unexpected(
          Error{ErrorCode::kInvalidArgument,
                "a size of " + std::to_string(operation.bytes) + " bytes needs more than 32 bits",
                "AllocationSizes"});
    }
    sizes.push_back(operation.bytes == 0 ? 1 : static_cast<uint32_t>(operation.bytes));
  }
  return sizes;
}

Expected<std::string> FindTracesDirectory(const char* argv0) {
  namespace fs = std::filesystem;
  constexpr std::string_view kBelowRunfiles = "granary/bench/traces";
  std::vector<fs::path> places;
  if (const char* runfiles = std::getenv("RUNFILES_DIR")) {
    places.push_back(fs::path(runfiles) / kBelowRunfiles);
  }
  if (argv0 != nullptr) {
    places.push_back(fs::path(std::string(argv0) + ".runfiles") / kBelowRunfiles);
  }
  std::error_code ignored;
  places.push_back(fs::current_path(ignored) / "bench/traces");

  std::string tried;
  for (const fs::path& place : places) {
    if (fs::exists(place / kProof, ignored)) return fs::absolute(place, ignored).string();
    tried += (tried.empty() ? "" : ", ") + place.string();
  }
  return IoError("the traces are in none of: " + tried, "FindTracesDirectory");
}

std::string TakeTracesDirectory(int* argc, char** argv) {
  constexpr std::string_view kFlag = "--granary_traces=";
  std::string directory = FindTracesDirectory(argv[0]).value_or("bench/traces");
  int kept = 0;
  for (int i = 0; i < *argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(kFlag)) {
      directory = argument.substr(kFlag.size());
    } else {
      argv[kept++] = argv[i];
    }
  }
  *argc = kept;
  return directory;
}

}  // namespace granary::bench
