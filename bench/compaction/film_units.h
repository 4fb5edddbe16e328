// Numbers of films, as people read them.
#ifndef GRANARY_BENCH_COMPACTION_FILM_UNITS_H_
#define GRANARY_BENCH_COMPACTION_FILM_UNITS_H_

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/compaction/region_film.h"

namespace granary::bench {

struct ByteUnit {
  const char* name = "B";
  double bytes = 1;
};

// The one in which `bytes` is a number of at most four digits.
inline ByteUnit UnitFor(double bytes) {
  constexpr std::array<const char*, 5> kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  ByteUnit unit;
  for (size_t i = 0; i + 1 < kNames.size() && bytes >= unit.bytes * 1024; ++i) {
    unit = {kNames[i + 1], unit.bytes * 1024};
  }
  return unit;
}

// `100 B`, `5.12 MiB`, `12.0 KiB`: three digits, unless it is a whole number of bytes.
inline std::string FormatBytes(double bytes) {
  const ByteUnit unit = UnitFor(bytes);
  const double value = bytes / unit.bytes;
  const int digits = unit.bytes == 1 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return fmt::format("{:.{}f} {}", value, digits, unit.name);
}

// `0.24 %`, `9.8 %`, `253 %`.
inline std::string FormatPercent(double share) {
  const double value = share * 100;
  if (value > 0 && value < 0.005) return "below 0.01 %";
  return fmt::format("{:.{}f} %", value, value == 0 || value >= 99.5 ? 0 : value >= 1 ? 1 : 2);
}

// `100 B`, `5000 to 15000 B`: exact, while that is short.
inline std::string FormatSizes(const FilmPhase& phase) {
  constexpr uint64_t kExactMax = 99'999;
  const auto format = [](uint64_t bytes) { return FormatBytes(static_cast<double>(bytes)); };
  if (phase.size_max <= phase.size_min) {
    return phase.size_min <= kExactMax ? fmt::format("{} B", phase.size_min)
                                       : format(phase.size_min);
  }
  return phase.size_max <= kExactMax
             ? fmt::format("{} to {} B", phase.size_min, phase.size_max)
             : fmt::format("{} to {}", format(phase.size_min), format(phase.size_max));
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_FILM_UNITS_H_
