#include "memory/system_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <system_error>

namespace granary {
namespace {

// A file that holds one number, or whose number stands behind `label`; -1 if it cannot be had.
int64_t ReadNumber(SystemCalls& calls, const char* path, std::string_view label = {}) noexcept {
  std::array<char, 4096> buffer;
  const ssize_t got = calls.ReadFile(path, buffer.data(), buffer.size());
  if (got <= 0) return -1;
  std::string_view text(buffer.data(), static_cast<size_t>(got));
  const size_t at = text.find(label);
  if (at == std::string_view::npos) return -1;
  text.remove_prefix(at + label.size());
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
  int64_t number = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() ? number : -1;
}

}  // namespace

std::string DescribeBytes(uint64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::string text = std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
  if (bytes < 1024) return text;
  double amount = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (amount >= 1024 && unit + 1 < kUnits.size()) {
    amount /= 1024;
    ++unit;
  }
  std::array<char, 32> rounded;
  std::snprintf(rounded.data(), rounded.size(), " (%.1f %s)", amount, kUnits[unit]);
  return text + rounded.data();
}

std::string DescribeErrno(int system_errno) {
  return std::generic_category().message(system_errno);
}

std::string DescribeLimits(SystemCalls& calls) {
  std::string text;
  const auto add = [&text](const std::string& part) {
    if (!text.empty()) text += "; ";
    text += part;
  };
  rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    std::string part = "RLIMIT_AS is " + DescribeBytes(limit.rlim_cur);
    const int64_t used_pages = ReadNumber(calls, "/proc/self/statm");
    if (used_pages >= 0) {
      const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
      part += ", of which " + DescribeBytes(static_cast<uint64_t>(used_pages) * page_bytes) +
              " are in use";
    }
    add(part);
  } else {
    add("RLIMIT_AS is unlimited");
  }
  const int64_t overcommit = ReadNumber(calls, "/proc/sys/vm/overcommit_memory");
  if (overcommit >= 0) {
    add("vm.overcommit_memory is " + std::to_string(overcommit) +
        (overcommit == 2 ? " (strict: every writable byte counts against CommitLimit)" : ""));
  }
  const int64_t mappings = ReadNumber(calls, "/proc/sys/vm/max_map_count");
  if (mappings >= 0) add("a process may have " + std::to_string(mappings) + " mappings");
  const int64_t available_kib = ReadNumber(calls, "/proc/meminfo", "MemAvailable:");
  if (available_kib >= 0) {
    add(DescribeBytes(static_cast<uint64_t>(available_kib) * 1024) + " of memory are available");
  }
  return text;
}

HugePagePool ReadHugePagePool(SystemCalls& calls) noexcept {
  return {
      .total_pages = ReadNumber(calls, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"),
      .free_pages = ReadNumber(calls, "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"),
  };
}

}  // namespace granary
