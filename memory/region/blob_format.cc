#include "memory/region/blob_format.h"

#include <algorithm>

#include "memory/crc32c.h"

namespace granary::blob {

namespace {

constexpr std::array<char, 8> kMagic = {'G', 'R', 'N', 'B', 'L', 'O', 'B', '\n'};
constexpr uint32_t kVersion = 1;
// "GBND".
constexpr uint32_t kNodeMagic = 0x444E'4247;
// Behind them are zeros.
constexpr size_t kHeaderUsedBytes = 88;
// Where the checksum is: of all that is before it.
constexpr size_t kChecksumAt = kHeaderBytes - 4;

const char* WhatIsWrong(const Header& header, uint32_t levels) {
  if (header.grain == 0 || header.grain > kRegionBytesMax) return "the grain is impossible";
  if (header.region_bytes > kRegionBytesMax || header.region_bytes % header.grain != 0) {
    return "the region's size is impossible";
  }
  if (header.used_bytes > header.region_bytes) return "more is used than there is";
  if (header.blob_bytes > header.used_bytes) return "the blobs are larger than what is used";
  if (header.blobs > header.slots) return "there are more blobs than slots";
  // So much its leaves take at least: nobody sets memory aside for slots that cannot be there.
  if (header.slots > header.used_bytes / kGenerationBytes) {
    return "there are more slots than what is used could tell of";
  }
  if (levels != LevelsOf(header.slots)) return "the levels are not those of the slots";
  if ((header.slots == 0) != (header.root.bytes == 0)) return "the root is not that of the slots";
  return nullptr;
}

}  // namespace

tl::unexpected<Error> Corrupt(const std::string& path, const std::string& what, const char* where) {
  return tl::unexpected(
      Error{.code = ErrorCode::kCorrupt, .message = path + ": " + what, .where = where});
}

std::array<std::byte, kHeaderBytes> EncodeHeader(const Header& header) noexcept {
  std::array<std::byte, kHeaderBytes> bytes = {};
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  Encoder to(bytes.data() + kMagic.size());
  to.Put32(kVersion);
  to.Put32(kHeaderBytes);
  to.Put64(header.checkpoint);
  to.Put64(header.grain);
  to.Put64(header.region_bytes);
  to.Put64(header.used_bytes);
  to.Put64(header.blobs);
  to.Put64(header.blob_bytes);
  to.Put32(header.slots);
  to.Put32(LevelsOf(header.slots));
  to.Put64(header.root.offset);
  to.Put32(static_cast<uint32_t>(header.root.bytes));
  to.Put32(header.root.checksum);
  Encoder(bytes.data() + kChecksumAt).Put32(Crc32c(std::span(bytes).first(kChecksumAt)));
  return bytes;
}

std::array<std::byte, kHeaderPairBytes> EncodeHeaderPair(const Header& header) noexcept {
  std::array<std::byte, kHeaderPairBytes> pair = {};
  const auto bytes = EncodeHeader(header);
  std::memcpy(pair.data(), bytes.data(), bytes.size());
  std::memcpy(pair.data() + kHeaderCopyAt, bytes.data(), bytes.size());
  return pair;
}

Expected<Header> DecodeHeader(std::span<const std::byte> bytes, const std::string& where) {
  constexpr const char* kWhere = "blob::DecodeHeader";
  if (bytes.size() < kHeaderBytes) return Corrupt(where, "it is cut off", kWhere);
  bytes = bytes.first(kHeaderBytes);
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return Corrupt(where, "it is no header of a blob file", kWhere);
  }
  Decoder from(bytes.data() + kMagic.size());
  const uint32_t version = from.Get32();
  const uint32_t checksum = Decoder(bytes.data() + kChecksumAt).Get32();
  if (checksum != Crc32c(bytes.first(kChecksumAt))) {
    return Corrupt(where, "its checksum is not that of its bytes", kWhere);
  }
  if (version != kVersion) {
    return tl::unexpected(Error{.code = ErrorCode::kUnsupported,
                                .message = where + ": it is of version " + std::to_string(version) +
                                           ", and only 1 is known",
                                .where = kWhere});
  }
  if (from.Get32() != kHeaderBytes) return Corrupt(where, "its length is not 128", kWhere);
  Header header;
  header.checkpoint = from.Get64();
  header.grain = from.Get64();
  header.region_bytes = from.Get64();
  header.used_bytes = from.Get64();
  header.blobs = from.Get64();
  header.blob_bytes = from.Get64();
  header.slots = from.Get32();
  const uint32_t levels = from.Get32();
  header.root.offset = from.Get64();
  header.root.bytes = from.Get32();
  header.root.checksum = from.Get32();
  const auto rest = bytes.subspan(kHeaderUsedBytes, kChecksumAt - kHeaderUsedBytes);
  if (std::any_of(rest.begin(), rest.end(), [](std::byte b) { return b != std::byte{}; })) {
    return Corrupt(where, "something is where nothing is known to be", kWhere);
  }
  if (const char* const wrong = WhatIsWrong(header, levels)) return Corrupt(where, wrong, kWhere);
  return header;
}

void EncodeNodeName(Encoder& to, const NodeName& name) noexcept {
  to.Put32(kNodeMagic);
  to.Put32(name.level);
  to.Put32(name.number);
  to.Put32(name.entries);
}

Expected<void> CheckNodeName(std::span<const std::byte> bytes, const NodeName& name,
                             const std::string& path) {
  constexpr const char* kWhere = "blob::CheckNodeName";
  const size_t least =
      kNodeHeaderBytes + name.entries * (name.level == 0 ? kGenerationBytes : kNodeEntryBytes);
  const std::string whose =
      "node " + std::to_string(name.number) + " of level " + std::to_string(name.level);
  if (bytes.size() < least) return Corrupt(path, whose + " is cut off", kWhere);
  Decoder from(bytes.data());
  if (from.Get32() != kNodeMagic || from.Get32() != name.level || from.Get32() != name.number ||
      from.Get32() != name.entries) {
    return Corrupt(path, whose + " is another", kWhere);
  }
  return {};
}

}  // namespace granary::blob
