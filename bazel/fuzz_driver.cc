// The main() of a fuzz target outside --config=fuzz: the same LLVMFuzzerTestOneInput on a fixed
// number of random inputs, so that every ordinary test run exercises it too.
//
//   NAME                    2000 inputs of the default seed; GRANARY_TEST_SEED chooses another
//   NAME file...            the inputs in these files: replays what a fuzzer found
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// A target may have one; the linker leaves it null otherwise.
extern "C" [[gnu::weak]] int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

constexpr size_t kInputs = 2000;
constexpr size_t kLargestInputBytes = 4096;

// Most inputs are short, as those a fuzzer begins with; some repeat bytes, because random ones
// alone hardly ever repeat a command or a size.
std::vector<uint8_t> RandomInput(std::mt19937_64& random) {
  const size_t most = size_t{1} << random() % 13;
  std::vector<uint8_t> input(std::min<size_t>(random() % (most + 1), kLargestInputBytes));
  const uint64_t range = uint64_t{1} << (1 + random() % 8);
  for (uint8_t& byte : input) byte = static_cast<uint8_t>(random() % range);
  return input;
}

int RunFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path);
    return 2;
  }
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)),
                                std::istreambuf_iterator<char>());
  const std::vector<uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  if (argc > 1) {
    int worst = 0;
    for (int i = 1; i < argc; ++i) worst = std::max(worst, RunFile(argv[i]));
    return worst;
  }
  const char* const chosen = std::getenv("GRANARY_TEST_SEED");
  const uint64_t seed = chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : 1;
  std::printf("%zu random inputs; replay with GRANARY_TEST_SEED=%llu\n", kInputs,
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < kInputs; ++i) {
    const std::vector<uint8_t> input = RandomInput(random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  return 0;
}
