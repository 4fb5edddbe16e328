// The seed of a random test: the same each run, so that what fails is what was changed; the one
// that GRANARY_TEST_SEED names; or, if that is "random", a new one.
//
//   const uint64_t seed = granary::RandomTestSeed();
//   SCOPED_TRACE(granary::HowToReplay(seed));
//   std::mt19937_64 random(seed);
#ifndef GRANARY_MEMORY_TESTING_RANDOM_SEED_H_
#define GRANARY_MEMORY_TESTING_RANDOM_SEED_H_

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>

namespace granary {

inline uint64_t RandomTestSeed() {
  constexpr uint64_t kUsual = 20261121;
  const char* const chosen = std::getenv("GRANARY_TEST_SEED");
  if (chosen == nullptr) return kUsual;
  if (std::string_view(chosen) != "random") return std::strtoull(chosen, nullptr, 10);
  std::random_device device;
  return device();
}

// What a failing test prints so that a person can run it again.
inline std::string HowToReplay(uint64_t seed) {
  return "replay with: bazel test --test_env=GRANARY_TEST_SEED=" + std::to_string(seed);
}

}  // namespace granary

#endif  // GRANARY_MEMORY_TESTING_RANDOM_SEED_H_
