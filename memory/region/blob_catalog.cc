#include "memory/region/blob_catalog.h"

#include <new>

#include "memory/crc32c.h"

namespace granary::blob {

namespace {

Error Invalid(std::string message, const char* where) {
  return {.code = ErrorCode::kInvalidArgument, .message = std::move(message), .where = where};
}

}  // namespace

Expected<Blob*> Catalog::Find(BlobId id, const char* where) const {
  if (Blob* const blob = table_.Find(id)) return blob;
  std::string message = name_ + ": no blob has the id " + BlobIdName(id);
  if (id.index < table_.slots()) {
    const Blob& slot = table_.At(id.index);
    message +=
        slot.is_live() ? ": it was removed, and its place is " : ": its place is empty, and ";
    message += "in generation " + std::to_string(slot.generation);
  } else {
    message += ": there are " + std::to_string(table_.slots()) + " places";
  }
  return tl::unexpected(Invalid(std::move(message), where));
}

Expected<Range> Catalog::AddressOf(BlobId id) const {
  const auto blob = Find(id, "BlobStore::AddressOf");
  if (!blob) return tl::unexpected(blob.error());
  return Range{(*blob)->offset, (*blob)->bytes};
}

Expected<void> Catalog::Verify(const Blob& blob, std::span<const std::byte> bytes) const {
  const uint32_t checksum = Crc32c(bytes);
  if (checksum == blob.checksum) return {};
  return tl::unexpected(
      Error{.code = ErrorCode::kCorrupt,
            .message = name_ + ": blob " + BlobIdName(table_.IdOf(blob)) + ", " +
                       std::to_string(blob.bytes) + " bytes at " + std::to_string(blob.offset) +
                       " of the region, has the checksum " + std::to_string(checksum) +
                       " instead of " + std::to_string(blob.checksum),
            .where = "BlobStore::Load"});
}

Expected<void> Catalog::Read(const Blob& blob, std::span<std::byte> buffer, bool verifies) const {
  if (buffer.empty()) return {};
  if (auto done = backing_.Read(blob.offset, buffer); !done) return done;
  return verifies ? Verify(blob, buffer) : Expected<void>();
}

Expected<std::span<const std::byte>> Catalog::View(BlobId id) const {
  constexpr const char* kWhere = "BlobStore::View";
  const auto blob = Find(id, kWhere);
  if (!blob) return tl::unexpected(blob.error());
  if ((*blob)->bytes == 0) return std::span<const std::byte>();
  const std::byte* const at = backing_.View((*blob)->offset);
  if (at == nullptr) {
    return tl::unexpected(
        Error{.code = ErrorCode::kUnsupported,
              .message = name_ + ": it is not mapped, so blobs can only be loaded into a buffer",
              .where = kWhere});
  }
  const std::span<const std::byte> bytes(at, static_cast<size_t>((*blob)->bytes));
  if (verify_loads_) {
    if (auto good = Verify(**blob, bytes); !good) return tl::unexpected(std::move(good.error()));
  }
  return bytes;
}

Expected<size_t> Catalog::LoadInto(BlobId id, std::span<std::byte> buffer) const {
  constexpr const char* kWhere = "BlobStore::LoadInto";
  const auto blob = Find(id, kWhere);
  if (!blob) return tl::unexpected(blob.error());
  const auto bytes = static_cast<size_t>((*blob)->bytes);
  if (buffer.size() < bytes) {
    return tl::unexpected(Invalid(name_ + ": blob " + BlobIdName(id) + " has " +
                                      std::to_string(bytes) + " bytes, the buffer has room for " +
                                      std::to_string(buffer.size()),
                                  kWhere));
  }
  if (auto done = Read(**blob, buffer.first(bytes), verify_loads_); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  return bytes;
}

Expected<std::vector<std::byte>> Catalog::LoadWhole(const Blob& blob, bool verifies) const {
  std::vector<std::byte> bytes;
  try {
    bytes.resize(static_cast<size_t>(blob.bytes));
  } catch (const std::bad_alloc&) {
    return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                                .message = name_ + ": no memory for the " +
                                           std::to_string(blob.bytes) + " bytes of blob " +
                                           BlobIdName(table_.IdOf(blob)),
                                .where = "BlobStore::Load"});
  }
  if (auto done = Read(blob, bytes, verifies); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  return bytes;
}

Expected<std::vector<std::byte>> Catalog::Load(BlobId id) const {
  const auto blob = Find(id, "BlobStore::Load");
  if (!blob) return tl::unexpected(blob.error());
  return LoadWhole(**blob, verify_loads_);
}

Expected<std::vector<std::byte>> Catalog::LoadVerified(const Blob& blob) const {
  return LoadWhole(blob, /*verifies=*/true);
}

void Catalog::ForEach(const std::function<void(BlobId, Range)>& visit) const {
  for (const Extent& extent : extents_.tree()) {
    if (extent.is_node) continue;
    visit(table_.IdOf(static_cast<const Blob&>(extent)), Range{extent.offset, extent.bytes});
  }
}

}  // namespace granary::blob
