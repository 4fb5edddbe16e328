// WarmList: which pages are worth having again, in a file.
//
//   auto saved = granary::SaveWarmList(list, "data.warm");
//   ...
//   auto list = granary::LoadWarmList("data.warm");
//
// The file, little endian:
//
//   offset  bytes
//        0      8  "GRNWARM" and a zero
//        8      4  version of the format: 1
//       12      4  bytes of a page
//       16      8  how many pages
//       24      8  bytes of what follows the header
//       32      4  CRC-32C of that
//       36      4  CRC-32C of the 36 bytes before
//       40         groups of pages of one heat, the hottest first. Of each: a byte, the heat; how
//                  many pages; and for each page, in the order of their keys (KeyOf), how many keys
//                  are left out between it and the one before, or before the first one. Numbers are
//                  in as few bytes as they need, seven bits a byte, the lowest first.
//
// So a page costs a byte where its neighbour is there too, and two or three mostly. There is one
// file only of a list. Whatever is not exactly such a file is refused with what is wrong and where;
// it holds nothing that an engine needs, so who is refused starts cold.
//
// Costs. O(n log n) in the pages; 16 bytes a page of memory and the file's size. May throw
// std::bad_alloc.
//
// Threading. A file is written by one at a time.
#ifndef GRANARY_POOL_BUFFER_WARM_LIST_H_
#define GRANARY_POOL_BUFFER_WARM_LIST_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "memory/error.h"
#include "memory/file_calls.h"
#include "pool/buffer/page_types.h"

namespace granary {

struct WarmPage {
  PageKey key = 0;
  // The more, the earlier it comes back.
  uint8_t heat = 0;

  friend bool operator==(const WarmPage&, const WarmPage&) = default;
};

struct WarmList {
  // Page numbers mean something else where pages have another size.
  size_t page_bytes = 0;
  // None of them twice.
  std::vector<WarmPage> pages = {};
};

// What stands where in the file.
struct WarmListFormat {
  static constexpr uint64_t kMagic = 0x004d'5241'574e'5247;
  static constexpr uint32_t kVersion = 1;
  static constexpr size_t kVersionOffset = 8;
  static constexpr size_t kPageBytesOffset = 12;
  static constexpr size_t kPagesOffset = 16;
  static constexpr size_t kBodyBytesOffset = 24;
  static constexpr size_t kBodyChecksumOffset = 32;
  static constexpr size_t kChecksumOffset = 36;
  static constexpr size_t kHeaderBytes = 40;
};

// Whatever the order of the pages is. kInvalidArgument: a page is there twice, or pages have no
// size or one of more than 4 bytes.
Expected<std::vector<std::byte>> EncodeWarmList(const WarmList& list);
// Pages are in the order of the file. kCorrupt, and kUnsupported for a version that is not known.
Expected<WarmList> DecodeWarmList(std::span<const std::byte> bytes);

// Writes it to `path`.new, syncs that, renames it and syncs the folder: whenever the power goes,
// `path` has the list that it had, or this one. After an error it has one of them: the old one
// unless the folder's sync failed. Returns the bytes that it has.
Expected<uint64_t> SaveWarmList(const WarmList& list, const std::string& path,
                                FileCalls& calls = FileCalls::Real());
// kIo with system_errno ENOENT where there is none; else the errors of the file and of decoding,
// with the path.
Expected<WarmList> LoadWarmList(const std::string& path, FileCalls& calls = FileCalls::Real());

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_WARM_LIST_H_
