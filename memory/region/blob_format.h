// The bytes of a blob file's headers and directory nodes; docs/blob_file.md has them one by one.
// Internal to memory/region.
//
// Numbers are little-endian. What is decoded is checked: of bytes that no store wrote, decoding
// says what is wrong with them, and nothing else happens.
#ifndef GRANARY_MEMORY_REGION_BLOB_FORMAT_H_
#define GRANARY_MEMORY_REGION_BLOB_FORMAT_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "memory/error.h"

namespace granary::blob {

// --- Places in the file
// ---------------------------------------------------------------------------

// Two headers, in turn: checkpoint n's is the (n mod 2)th. Each has a page of the system for
// itself, and is in it twice: if one of the two goes bad that a checkpoint stands on, the other is
// there.
inline constexpr uint64_t kHeaderDistance = 4096;
inline constexpr uint64_t kHeaderCopyAt = 2048;
inline constexpr size_t kHeaderBytes = 128;
// From the begin of the first to the end of the second.
inline constexpr size_t kHeaderPairBytes = kHeaderCopyAt + kHeaderBytes;
// Here the region begins.
inline constexpr uint64_t kRegionBegin = 2 * kHeaderDistance;
// A region's size is up to this, so that sums of a few of them are numbers of 64 bits.
inline constexpr uint64_t kRegionBytesMax = uint64_t{1} << 60;

// --- The directory
// --------------------------------------------------------------------------------

// A tree of nodes with up to so many entries: a leaf's are slots of blobs, another's are nodes of
// the level below.
inline constexpr uint32_t kFanout = 128;
inline constexpr uint32_t kLevelsMax = 5;
inline constexpr size_t kNodeHeaderBytes = 16;
inline constexpr size_t kLeafEntryBytes = 20;
inline constexpr size_t kGenerationBytes = 4;
inline constexpr size_t kNodeEntryBytes = 16;
inline constexpr size_t kNodeBytesMax =
    kNodeHeaderBytes + kFanout * (kGenerationBytes + kLeafEntryBytes);
using NodeBuffer = std::array<std::byte, kNodeBytesMax>;

// How many nodes of `level` a directory of so many slots has.
constexpr uint64_t NodesOf(uint64_t slots, uint32_t level) noexcept {
  for (uint32_t i = 0; i <= level; ++i) slots = (slots + kFanout - 1) / kFanout;
  return slots;
}
// How many levels; 0 where there are no slots.
constexpr uint32_t LevelsOf(uint64_t slots) noexcept {
  uint32_t levels = 0;
  while (slots != 0 && (levels == 0 || NodesOf(slots, levels - 1) > 1)) ++levels;
  return levels;
}

// Where bytes are in the region, and what they must be.
struct Reference {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint32_t checksum = 0;

  friend bool operator==(const Reference&, const Reference&) = default;
};

// All that is known of a checkpoint at its begin.
struct Header {
  uint64_t checkpoint = 0;
  uint64_t grain = 0;
  uint64_t region_bytes = 0;
  // Of blobs and nodes, in grains.
  uint64_t used_bytes = 0;
  uint64_t blobs = 0;
  uint64_t blob_bytes = 0;
  uint32_t slots = 0;
  // Of no slots it is empty.
  Reference root = {};

  friend bool operator==(const Header&, const Header&) = default;
};

std::array<std::byte, kHeaderBytes> EncodeHeader(const Header& header) noexcept;
// As it stands in its page.
std::array<std::byte, kHeaderPairBytes> EncodeHeaderPair(const Header& header) noexcept;
// kCorrupt, kUnsupported for another version. `where` names the place in messages.
Expected<Header> DecodeHeader(std::span<const std::byte> bytes, const std::string& where);

// --- Numbers
// --------------------------------------------------------------------------------------

// Writes numbers one behind the other.
class Encoder {
 public:
  explicit Encoder(std::byte* at) noexcept : at_(at) {}

  std::byte* at() const noexcept { return at_; }
  void Put32(uint32_t number) noexcept { Put(number); }
  void Put64(uint64_t number) noexcept { Put(number); }

 private:
  template <class Number>
  void Put(Number number) noexcept {
    for (size_t i = 0; i < sizeof(number); ++i) *at_++ = static_cast<std::byte>(number >> (8 * i));
  }

  std::byte* at_;
};

// Reads what an Encoder wrote; the caller knows that it is there.
class Decoder {
 public:
  explicit Decoder(const std::byte* at) noexcept : at_(at) {}

  uint32_t Get32() noexcept { return Get<uint32_t>(); }
  uint64_t Get64() noexcept { return Get<uint64_t>(); }

 private:
  template <class Number>
  Number Get() noexcept {
    Number number = 0;
    for (size_t i = 0; i < sizeof(number); ++i) {
      number |= static_cast<Number>(static_cast<Number>(*at_++) << (8 * i));
    }
    return number;
  }

  const std::byte* at_;
};

// --- Nodes
// ----------------------------------------------------------------------------------------

// Which node it is: the `number`th of its level, with so many entries.
struct NodeName {
  uint32_t level = 0;
  uint32_t number = 0;
  uint32_t entries = 0;
};

void EncodeNodeName(Encoder& to, const NodeName& name) noexcept;
// kCorrupt unless `bytes` begin with this name and have at least what its entries take at least.
Expected<void> CheckNodeName(std::span<const std::byte> bytes, const NodeName& name,
                             const std::string& path);

// kCorrupt, with the file's path.
tl::unexpected<Error> Corrupt(const std::string& path, const std::string& what, const char* where);

}  // namespace granary::blob

#endif  // GRANARY_MEMORY_REGION_BLOB_FORMAT_H_
