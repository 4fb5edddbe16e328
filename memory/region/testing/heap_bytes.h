// The bytes of a block, for tests.
#ifndef GRANARY_MEMORY_REGION_TESTING_HEAP_BYTES_H_
#define GRANARY_MEMORY_REGION_TESTING_HEAP_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/error.h"
#include "memory/region/heap_types.h"

namespace granary {

inline std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Ends the test's process with the error, if there is one.
inline void Succeeds(const Expected<void>& done) {
  if (done) return;
  std::fprintf(stderr, "%s: %s\n", done.error().where, done.error().message.c_str());
  std::abort();
}

// All of a live block.
template <class Heap>
std::string TextOf(const Heap& heap, BlockHandle block) {
  std::string text(heap.SizeOf(block).value(), '\0');
  Succeeds(heap.Read(block, 0, std::as_writable_bytes(std::span(text))));
  return text;
}

// Bytes that nobody else's `tag` has.
inline void PatternOf(uint64_t tag, std::span<std::byte> out) {
  uint64_t state = tag * 0x9E3779B97F4A7C15 + 1;
  for (size_t i = 0; i < out.size(); ++i) {
    if (i % 8 == 0) state = state * 6364136223846793005 + 1442695040888963407;
    out[i] = static_cast<std::byte>(state >> (8 * (i % 8)));
  }
}

template <class Heap>
void WritePattern(Heap& heap, BlockHandle block, uint64_t tag) {
  std::vector<std::byte> bytes(heap.SizeOf(block).value());
  PatternOf(tag, bytes);
  Succeeds(heap.Write(block, 0, bytes));
}

template <class Heap>
bool HasPattern(const Heap& heap, BlockHandle block, uint64_t tag) {
  std::vector<std::byte> bytes(heap.SizeOf(block).value());
  std::vector<std::byte> wanted(bytes.size());
  PatternOf(tag, wanted);
  Succeeds(heap.Read(block, 0, bytes));
  return bytes == wanted;
}

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_TESTING_HEAP_BYTES_H_
