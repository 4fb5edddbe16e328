// How much is held for what is live.
#ifndef GRANARY_BENCH_REGION_HELD_H_
#define GRANARY_BENCH_REGION_HELD_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "bench/program.h"
#include "bench/region/implementations.h"

namespace granary::bench {

// A line of /proc/self/status, in bytes.
inline size_t StatusBytes(const std::string& key) {
  std::ifstream lines("/proc/self/status");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key + ":")) return std::stoul(line.substr(key.size() + 1)) << 10;
  }
  Die("/proc/self/status has no line " + key);
}

// The peak of resident memory begins anew.
inline void ResetResidentPeak() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  if (!file) Die("/proc/self/clear_refs cannot be written");
}

// A region holds all below the highest end that an allocation ever had. What a malloc holds is by
// how much the process's resident memory grew at most: every page of every allocation is written,
// and it has to be a process in which the malloc had nothing to free before.
template <class Implementation>
class HeldMeter {
 public:
  using Handle = typename Implementation::Handle;

  explicit HeldMeter(const Implementation& implementation) : implementation_(implementation) {
    if constexpr (!kIsRegion<Implementation>) {
      ResetResidentPeak();
      resident_before_ = StatusBytes("VmRSS");
    }
  }

  // `writes`: false if the pages are written anyway.
  void Grew(const Handle& handle, size_t bytes, bool writes = true) {
    if constexpr (kIsRegion<Implementation>) {
      highest_end_ = std::max(highest_end_, implementation_.EndOf(handle, bytes));
    } else if (writes) {
      constexpr size_t kPageBytes = 4096;
      for (size_t i = 0; i < bytes; i += kPageBytes) Write(handle + i);
      Write(handle + bytes - 1);
    }
  }

  size_t HeldBytes() const {
    if constexpr (kIsRegion<Implementation>) {
      return highest_end_;
    } else {
      // The kernel's counters are some pages apart.
      return std::max(StatusBytes("VmHWM"), resident_before_) - resident_before_;
    }
  }

 private:
  static void Write(std::byte* p) { *static_cast<volatile std::byte*>(p) = std::byte{1}; }

  const Implementation& implementation_;
  size_t highest_end_ = 0;
  size_t resident_before_ = 0;
};

// The bytes that are live, as asked for.
class LiveMeter {
 public:
  void Changed(size_t from_bytes, size_t to_bytes) {
    live_bytes_ = live_bytes_ - from_bytes + to_bytes;
    peak_bytes_ = std::max(peak_bytes_, live_bytes_);
  }

  size_t live_bytes() const { return live_bytes_; }
  size_t peak_bytes() const { return peak_bytes_; }

 private:
  size_t live_bytes_ = 0;
  size_t peak_bytes_ = 0;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REGION_HELD_H_
