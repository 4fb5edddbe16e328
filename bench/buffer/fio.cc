#include "bench/buffer/fio.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "bench/buffer/pages.h"

namespace granary::bench {
namespace {

using Json = nlohmann::json;

constexpr int kExitNotFound = 127;

FioReads Not(std::string reason) {
  return {.reads = 0, .seconds = 0, .why_not = std::move(reason)};
}

}  // namespace

FioReads RunFio(const std::string& path, size_t threads, size_t reads, unsigned depth) {
  // It makes the folders of a file that is not there, and leaves them behind.
  if (::access(path.c_str(), R_OK) != 0) return Not(path + ": " + std::strerror(errno));
  const std::string command =
      "exec fio --name=reads --filename='" + path +
      "' --readonly --rw=randread --norandommap --ioengine=io_uring --direct=1 --iodepth=" +
      std::to_string(depth) + " --bs=" + std::to_string(kPageBytes) +
      " --number_ios=" + std::to_string(reads) +
      " --thread --group_reporting --numjobs=" + std::to_string(threads) +
      // As long as it takes, however large the file is.
      " --io_size=" + std::to_string(2 * reads * kPageBytes) +
      " --output-format=json 2>/dev/null </dev/null";
  FILE* const fio = ::popen(command.c_str(), "r");
  if (fio == nullptr) return Not("fio cannot be started");
  std::string output;
  char some[4096];
  while (const size_t bytes = std::fread(some, 1, sizeof(some), fio)) output.append(some, bytes);
  const int status = ::pclose(fio);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExitNotFound) {
    return Not("fio is not installed");
  }
  // What it has to say beforehand is no JSON.
  output.erase(0, output.find('{'));
  const Json json = Json::parse(output, nullptr, /*allow_exceptions=*/false);
  if (status != 0 || json.is_discarded()) return Not("fio fails on " + path);
  const auto number = [&](const char* field) {
    const Json found = json.value(Json::json_pointer(field), Json());
    return found.is_number() ? found.get<double>() : 0;
  };
  const double done = number("/jobs/0/read/total_ios");
  const double per_second = number("/jobs/0/read/iops");
  if (done == 0 || per_second == 0) return Not("fio does not say what it has read of " + path);
  return {.reads = static_cast<uint64_t>(done), .seconds = done / per_second, .why_not = {}};
}

}  // namespace granary::bench
