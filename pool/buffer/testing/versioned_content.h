// VersionedContent: what a test has written to a page, so that it knows each word of it again.
#ifndef GRANARY_POOL_BUFFER_TESTING_VERSIONED_CONTENT_H_
#define GRANARY_POOL_BUFFER_TESTING_VERSIONED_CONTENT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "pool/buffer/page_codec.h"
#include "pool/buffer/page_types.h"

namespace granary {

struct VersionedContent {
  // Of the words of 8 bytes of a page: the first that no codec has, and where the LSN is.
  static constexpr size_t kFirstWord = PageHeader::kBytes / sizeof(uint64_t);
  static constexpr size_t kLsnWord = kFirstWord + 2;

  // No other content of the page has the same.
  uint64_t version = 0;
  Lsn lsn = 0;

  uint64_t WordOf(PageId id, size_t word) const noexcept {
    if (word == kLsnWord) return lsn;
    return (version * 0x9E3779B97F4A7C15u) ^ (KeyOf(id) * 31 + word);
  }
  void WriteTo(PageId id, std::byte* page, size_t words) const noexcept {
    for (size_t word = kFirstWord; word < words; ++word) {
      const uint64_t value = WordOf(id, word);
      std::memcpy(page + word * sizeof(value), &value, sizeof(value));
    }
  }
  bool HasWord(PageId id, const std::byte* page, size_t word) const noexcept {
    uint64_t value;
    std::memcpy(&value, page + word * sizeof(value), sizeof(value));
    return value == WordOf(id, word);
  }
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_TESTING_VERSIONED_CONTENT_H_
