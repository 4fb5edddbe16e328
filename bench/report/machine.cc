#include "bench/report/machine.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string_view>

namespace granary::bench {
namespace {

constexpr const char* kUnknown = "unknown";

std::string CpuModel() {
  std::ifstream lines("/proc/cpuinfo");
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return kUnknown;
}

std::string Kernel() {
  utsname name = {};
  return uname(&name) == 0 ? fmt::format("{} {} {}", name.sysname, name.release, name.machine)
                           : kUnknown;
}

// The kernel marks the mode that is on: `always [madvise] never`.
std::string TransparentHugePages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string modes;
  std::getline(file, modes);
  const size_t begin = modes.find('[');
  const size_t end = modes.find(']');
  return begin < end && end != std::string::npos ? modes.substr(begin + 1, end - begin - 1)
                                                 : kUnknown;
}

std::string Compiler() {
#if defined(__clang__)
  return __VERSION__;
#else
  return "gcc " __VERSION__;
#endif
}

}  // namespace

Machine DescribeMachine(const std::map<std::string, std::string>& context) {
  Machine machine;
  machine.cpu = CpuModel();
  machine.cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  struct sysinfo system = {};
  if (sysinfo(&system) == 0) {
    machine.memory_bytes = uint64_t{system.totalram} * system.mem_unit;
  }
  machine.kernel = Kernel();
  machine.compiler = Compiler();
  machine.date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  machine.build = kUnknown;
  constexpr std::string_view kVersion = "_version";
  for (const auto& [key, value] : context) {
    if (key == "granary_build") {
      machine.build = value;
    } else if (key.ends_with(kVersion)) {
      machine.versions[key.substr(0, key.size() - kVersion.size())] = value;
    }
  }
  double load = 0;
  if (getloadavg(&load, 1) == 1) {
    machine.load_average = load;
  }
  machine.transparent_huge_pages = TransparentHugePages();
  return machine;
}

}  // namespace granary::bench
