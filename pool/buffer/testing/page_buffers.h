// PageBuffers: aligned memory for pages, whose content says which page it is, and which version.
#ifndef GRANARY_POOL_BUFFER_TESTING_PAGE_BUFFERS_H_
#define GRANARY_POOL_BUFFER_TESTING_PAGE_BUFFERS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

namespace granary {

class PageBuffers {
 public:
  PageBuffers(size_t count, size_t page_bytes, size_t alignment = 1)
      : count_(count), page_bytes_(page_bytes) {
    const size_t unit = std::max<size_t>(alignment, 64);
    const size_t bytes = (count * page_bytes + unit) / unit * unit;
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(unit, bytes)));
    std::memset(memory_.get(), 0, bytes);
  }

  size_t count() const { return count_; }
  std::span<std::byte> memory() { return {memory_.get(), count_ * page_bytes_}; }
  std::byte* operator[](size_t i) { return memory_.get() + i * page_bytes_; }
  std::span<std::byte> page(size_t i) { return {(*this)[i], page_bytes_}; }

  // Every word differs from every other page's, version's and place's; of version 0 all are zeros.
  void Fill(size_t i, uint64_t page, uint64_t version) {
    for (size_t at = 0; at < page_bytes_; at += sizeof(uint64_t)) {
      const uint64_t word = WordOf(page, version, at);
      std::memcpy((*this)[i] + at, &word, sizeof(word));
    }
  }

  bool Holds(size_t i, uint64_t page, uint64_t version) {
    for (size_t at = 0; at < page_bytes_; at += sizeof(uint64_t)) {
      const uint64_t word = WordOf(page, version, at);
      if (std::memcmp((*this)[i] + at, &word, sizeof(word)) != 0) return false;
    }
    return true;
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };

  static uint64_t WordOf(uint64_t page, uint64_t version, size_t at) {
    if (version == 0) return 0;
    return (page * 0x9E3779B97F4A7C15 ^ version << 40 ^ at) * 0xD6E8FEB86659FD93 + 1;
  }

  size_t count_;
  size_t page_bytes_;
  std::unique_ptr<std::byte[], Free> memory_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_TESTING_PAGE_BUFFERS_H_
