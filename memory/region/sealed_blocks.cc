#include "memory/region/sealed_blocks.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "memory/crc32c.h"
#include "memory/little_endian.h"

namespace granary::region {

namespace {

constexpr size_t kChecksumBytes = sizeof(uint32_t);

tl::unexpected<Error> Corrupt(std::string message) {
  return tl::unexpected(
      Error{.code = ErrorCode::kCorrupt, .message = std::move(message), .where = "Unseal"});
}

}  // namespace

std::vector<std::byte> Seal(std::span<const std::byte> payload) {
  std::vector<std::byte> sealed(SealedBytes(payload.size()));
  std::byte* at = sealed.data();
  uint32_t index = 0;
  for (size_t done = 0; done < payload.size(); ++index) {
    const auto piece = payload.subspan(done, std::min(kSealedPayloadBytes, payload.size() - done));
    std::memcpy(at, piece.data(), piece.size());
    PutFixed(at + piece.size(), Crc32c(piece, index));
    at += piece.size() + kChecksumBytes;
    done += piece.size();
  }
  PutFixed(at, Crc32c(payload));
  return sealed;
}

Expected<Unsealed> Unseal(std::span<const std::byte> sealed) {
  if (sealed.size() < SealedBytes(1)) {
    return Corrupt(std::to_string(sealed.size()) + " bytes are no block with its checksums");
  }
  const std::span<const std::byte> blocks = sealed.first(sealed.size() - kChecksumBytes);
  if (blocks.size() % kSealedBlockBytes != 0 &&
      blocks.size() % kSealedBlockBytes <= kChecksumBytes) {
    return Corrupt("the last block, at byte " +
                   std::to_string(blocks.size() - blocks.size() % kSealedBlockBytes) +
                   ", has no bytes before its checksum");
  }
  const size_t count = (blocks.size() + kSealedBlockBytes - 1) / kSealedBlockBytes;
  Unsealed unsealed;
  unsealed.bytes = blocks.size() - count * kChecksumBytes;
  unsealed.payload =
      std::make_unique_for_overwrite<std::byte[]>(unsealed.bytes + Unsealed::kPaddingBytes);
  std::memset(unsealed.payload.get() + unsealed.bytes, 0, Unsealed::kPaddingBytes);
  std::byte* at = unsealed.payload.get();
  for (size_t index = 0; index < count; ++index) {
    const size_t begin = index * kSealedBlockBytes;
    const size_t bytes = std::min(kSealedBlockBytes, blocks.size() - begin) - kChecksumBytes;
    const auto piece = blocks.subspan(begin, bytes);
    if (Crc32c(piece, static_cast<uint32_t>(index)) != GetFixed<uint32_t>(piece.data() + bytes)) {
      return Corrupt("the checksum of block " + std::to_string(index) + ", bytes " +
                     std::to_string(begin) + " to " + std::to_string(begin + bytes) +
                     ", does not agree");
    }
    std::memcpy(at, piece.data(), bytes);
    at += bytes;
  }
  unsealed.checksum = Crc32c({unsealed.payload.get(), unsealed.bytes});
  if (unsealed.checksum != GetFixed<uint32_t>(blocks.data() + blocks.size())) {
    return Corrupt("the checksum of all, at byte " + std::to_string(blocks.size()) +
                   ", does not agree");
  }
  return unsealed;
}

}  // namespace granary::region
