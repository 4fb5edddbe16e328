#include "memory/region/blob_store.h"

#include <algorithm>
#include <new>
#include <utility>

#include "memory/crc32c.h"
#include "memory/region/blob_backing.h"
#include "memory/region/blob_catalog.h"
#include "memory/region/blob_directory.h"
#include "memory/region/blob_file.h"
#include "memory/region/blob_space.h"

namespace granary {

namespace {

Error Invalid(std::string message, const char* where) {
  return {.code = ErrorCode::kInvalidArgument, .message = std::move(message), .where = where};
}

Expected<void> CheckOptions(const BlobStoreOptions& options) {
  constexpr const char* kWhere = "BlobStore::Create";
  if (options.grain == 0 || options.grain > blob::kRegionBytesMax) {
    return tl::unexpected(
        Invalid("the grain, " + std::to_string(options.grain) + ", is 0 or above 2^60", kWhere));
  }
  if (options.max_bytes < options.grain || options.max_bytes > blob::kRegionBytesMax) {
    return tl::unexpected(Invalid(
        "max_bytes, " + std::to_string(options.max_bytes) + ", is less than a grain or above 2^60",
        kWhere));
  }
  if (options.max_blobs == 0 || options.max_blobs > blob::BlobTable::kSlotsMax) {
    return tl::unexpected(Invalid(
        "max_blobs, " + std::to_string(options.max_blobs) + ", is 0 or above 2^31", kWhere));
  }
  return {};
}

}  // namespace

// --- Making -------------------------------------------------------------------------------------

BlobStore::BlobStore(std::unique_ptr<blob::BlobFile> file,
                     std::unique_ptr<blob::Backing> backing) noexcept
    : file_(std::move(file)), backing_(std::move(backing)) {}

BlobStore::~BlobStore() = default;

Expected<std::unique_ptr<BlobStore>> BlobStore::CreateIn(std::unique_ptr<blob::Backing> backing,
                                                         const BlobStoreOptions& options) {
  std::unique_ptr<BlobStore> store(new BlobStore(nullptr, std::move(backing)));
  if (auto built = store->Build("a store in memory", options, options.grain, 0); !built) {
    return tl::unexpected(std::move(built.error()));
  }
  return store;
}

Expected<std::unique_ptr<BlobStore>> BlobStore::CreateInMemory(const BlobStoreOptions& options) {
  if (auto valid = CheckOptions(options); !valid) return tl::unexpected(std::move(valid.error()));
  auto backing = blob::MemoryBacking::Create(options.max_bytes, options.system_calls);
  if (!backing) return tl::unexpected(std::move(backing.error()));
  return CreateIn(std::move(*backing), options);
}

Expected<std::unique_ptr<BlobStore>> BlobStore::CreateOver(std::span<std::byte> memory,
                                                           const BlobStoreOptions& options) {
  BlobStoreOptions own = options;
  own.max_bytes = memory.size();
  if (auto valid = CheckOptions(own); !valid) return tl::unexpected(std::move(valid.error()));
  return CreateIn(blob::MemoryBacking::Over(memory), own);
}

Expected<std::unique_ptr<BlobStore>> BlobStore::OpenFile(const std::string& path,
                                                         const BlobFileOptions& options) {
  if (auto valid = CheckOptions(options.store); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  auto opened = blob::BlobFile::OpenForWriting(path, options);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  auto file = std::make_unique<blob::BlobFile>(std::move(*opened));
  const blob::Header& header = file->header();
  if (header.region_bytes > options.store.max_bytes) {
    return tl::unexpected(
        Error{.code = ErrorCode::kOutOfMemory,
              .message = path + ": its region has " + std::to_string(header.region_bytes) +
                         " bytes, and max_bytes is " + std::to_string(options.store.max_bytes),
              .where = "BlobStore::OpenFile"});
  }
  auto backing =
      blob::FileBacking::Create(file->file(), blob::kRegionBegin, options.store.max_bytes,
                                options.is_mapped, options.store.system_calls);
  if (!backing) return tl::unexpected(std::move(backing.error()));
  std::unique_ptr<BlobStore> store(new BlobStore(std::move(file), std::move(*backing)));
  if (auto built = store->Build(path, options.store, header.grain, header.region_bytes); !built) {
    return tl::unexpected(std::move(built.error()));
  }
  if (auto loaded = store->LoadFile(); !loaded) {
    return tl::unexpected(std::move(loaded.error()));
  }
  return store;
}

Expected<void> BlobStore::Build(std::string name, const BlobStoreOptions& options, uint64_t grain,
                                uint64_t region_bytes) {
  SystemCalls& calls =
      options.system_calls != nullptr ? *options.system_calls : SystemCalls::Real();
  // The lowest among equals, so that a store that was opened again goes on as the one before it.
  auto region =
      RegionAllocator::Create(region_bytes, {.grain = grain, .lowest_among_equals = true}, calls);
  if (!region) return tl::unexpected(std::move(region.error()));
  if (region_bytes != 0) (void)region->Reserve({0, region_bytes});
  auto table = blob::BlobTable::Create(options.max_blobs, options.system_calls);
  if (!table) return tl::unexpected(std::move(table.error()));
  space_ = std::make_unique<blob::Space>(std::move(*region), *backing_,
                                         options.max_bytes / grain * grain);
  catalog_ = std::make_unique<blob::Catalog>(std::move(name), std::move(*table), grain, *backing_,
                                             options.verify_loads);
  if (file_ == nullptr) return {};
  auto directory = blob::Directory::Create(options.max_blobs, options.system_calls);
  if (!directory) return tl::unexpected(std::move(directory.error()));
  directory_ = std::make_unique<blob::Directory>(std::move(*directory));
  pins_ = std::make_unique<blob::ReaderPins>(catalog_->name(), file_->file().calls());
  return {};
}

// --- Blobs --------------------------------------------------------------------------------------

Expected<void> BlobStore::RefuseIfPoisoned() const {
  if (!poison_) return {};
  return tl::unexpected(*poison_);
}

Expected<void> BlobStore::MakeSlot() {
  blob::BlobTable& table = catalog_->table();
  if (table.has_free_slot()) return {};
  if (directory_ != nullptr) {
    if (auto made = directory_->Reserve(table.slots() + 1); !made) return made;
  }
  if (auto added = table.AddSlot(); !added) return added;
  if (directory_ != nullptr) directory_->Include(table.slots());
  return {};
}

Expected<Range> BlobStore::Place(std::span<const std::byte> bytes) {
  if (bytes.empty()) return Range{};
  auto place = space_->Allocate(bytes.size());
  if (!place) return place;
  if (auto done = backing_->Write(place->offset, bytes); !done) {
    space_->FreeOrLose(*place);
    return tl::unexpected(std::move(done.error()));
  }
  return place;
}

void BlobStore::Touch(const blob::Blob& blob) noexcept {
  if (directory_ != nullptr) directory_->Touch(catalog_->table().IndexOf(blob));
}

Expected<BlobId> BlobStore::Add(std::span<const std::byte> bytes) {
  if (auto usable = RefuseIfPoisoned(); !usable) return tl::unexpected(std::move(usable.error()));
  if (auto made = MakeSlot(); !made) return tl::unexpected(std::move(made.error()));
  const uint32_t checksum = Crc32c(bytes);
  const auto place = Place(bytes);
  if (!place) return tl::unexpected(place.error());
  blob::Blob& blob = catalog_->table().Take(bytes.size());
  blob.offset = place->offset;
  blob.checksum = bytes.empty() ? 0 : checksum;
  catalog_->extents().Insert(blob);
  Touch(blob);
  return catalog_->table().IdOf(blob);
}

bool BlobStore::ReplaceInPlace(blob::Blob& blob, std::span<const std::byte> bytes) {
  if (!backing_->overwrites() || blob.bytes == 0 || bytes.empty()) return false;
  const Range old = catalog_->extents().RangeOf(blob);
  const uint64_t wanted = catalog_->extents().RoundUp(bytes.size());
  if (wanted > old.size && !space_->Resize(old, bytes.size())) return false;
  // Before a part of it is given up, which the bytes may come from.
  (void)backing_->Write(old.offset, bytes);
  if (wanted < old.size) {
    const Range rest = {old.offset + wanted, old.size - wanted};
    space_->FreeOrLose(rest);
    backing_->Forget(rest);
  }
  catalog_->table().CountResize(blob, bytes.size());
  catalog_->extents().Resize(blob, bytes.size());
  return true;
}

Expected<void> BlobStore::Replace(BlobId id, std::span<const std::byte> bytes) {
  if (auto usable = RefuseIfPoisoned(); !usable) return usable;
  const auto found = catalog_->Find(id, "BlobStore::Replace");
  if (!found) return tl::unexpected(found.error());
  blob::Blob& blob = **found;
  const uint32_t checksum = bytes.empty() ? 0 : Crc32c(bytes);
  if (!ReplaceInPlace(blob, bytes)) {
    const auto place = Place(bytes);
    if (!place) return tl::unexpected(place.error());
    if (auto vacated = Vacate(blob); !vacated) {
      if (place->size != 0) space_->FreeOrLose(*place);
      return vacated;
    }
    catalog_->extents().Erase(blob);
    catalog_->table().CountResize(blob, bytes.size());
    blob.offset = place->offset;
    blob.set_bytes(bytes.size());
    blob.is_checkpointed = 0;
    catalog_->extents().Insert(blob);
  }
  blob.checksum = checksum;
  Touch(blob);
  return {};
}

Expected<void> BlobStore::Vacate(const blob::Blob& blob) {
  if (blob.bytes == 0) return {};
  const Range range = catalog_->extents().RangeOf(blob);
  if (blob.is_checkpointed) return space_->Retire(range, checkpoint_ + 1);
  if (auto freed = space_->Free(range); !freed) return freed;
  backing_->Forget(range);
  return {};
}

Expected<void> BlobStore::Take(blob::Blob& blob) {
  if (auto vacated = Vacate(blob); !vacated) return vacated;
  catalog_->extents().Erase(blob);
  catalog_->table().Release(blob);
  Touch(blob);
  return {};
}

Expected<std::vector<std::byte>> BlobStore::Remove(BlobId id) {
  if (auto usable = RefuseIfPoisoned(); !usable) return tl::unexpected(std::move(usable.error()));
  const auto blob = catalog_->Find(id, "BlobStore::Remove");
  if (!blob) return tl::unexpected(blob.error());
  auto bytes = catalog_->LoadVerified(**blob);
  if (!bytes) return bytes;
  if (auto taken = Take(**blob); !taken) return tl::unexpected(std::move(taken.error()));
  return bytes;
}

Expected<void> BlobStore::Discard(BlobId id) {
  if (auto usable = RefuseIfPoisoned(); !usable) return usable;
  const auto blob = catalog_->Find(id, "BlobStore::Discard");
  if (!blob) return tl::unexpected(blob.error());
  return Take(**blob);
}

Expected<void> BlobStore::Clear() { return ClearAndRetainHeader(0); }

Expected<void> BlobStore::ClearAndRetainHeader(uint64_t bytes) {
  constexpr const char* kWhere = "BlobStore::ClearAndRetainHeader";
  if (auto usable = RefuseIfPoisoned(); !usable) return usable;
  const uint64_t size = space_->region().size_bytes();
  if (bytes > size) {
    return tl::unexpected(Invalid(catalog_->name() + ": a header of " + std::to_string(bytes) +
                                      " bytes, and the region has " + std::to_string(size),
                                  kWhere));
  }
  blob::Extents& extents = catalog_->extents();
  const blob::Extent* const first = extents.FirstEndingAbove(bytes);
  if (first != nullptr && first->offset < bytes && !first->is_node) {
    return tl::unexpected(Invalid(catalog_->name() + ": the header would end at " +
                                      std::to_string(bytes) + ", inside the blob of " +
                                      std::to_string(first->bytes) + " bytes at " +
                                      std::to_string(first->offset),
                                  kWhere));
  }
  // Empty ones lie nowhere, so not within a header.
  while (blob::Extent* const empty = extents.FirstEmpty()) {
    if (auto taken = Take(static_cast<blob::Blob&>(*empty)); !taken) return taken;
  }
  for (blob::Extent* at = extents.FirstEndingAbove(bytes); at != nullptr;) {
    blob::Extent* const next = extents.Next(*at);
    if (!at->is_node) {
      if (auto taken = Take(static_cast<blob::Blob&>(*at)); !taken) return taken;
    }
    at = next;
  }
  return {};
}

// --- Reading ------------------------------------------------------------------------------------

Expected<std::vector<std::byte>> BlobStore::Load(BlobId id) const { return catalog_->Load(id); }

Expected<size_t> BlobStore::LoadInto(BlobId id, std::span<std::byte> buffer) const {
  return catalog_->LoadInto(id, buffer);
}

Expected<std::span<const std::byte>> BlobStore::View(BlobId id) const { return catalog_->View(id); }

bool BlobStore::Contains(BlobId id) const noexcept { return catalog_->table().Find(id) != nullptr; }

Expected<Range> BlobStore::AddressOf(BlobId id) const { return catalog_->AddressOf(id); }

Expected<uint64_t> BlobStore::Size(BlobId id) const {
  return catalog_->AddressOf(id).map([](Range range) { return range.size; });
}

void BlobStore::ForEach(const std::function<void(BlobId, Range)>& visit) const {
  catalog_->ForEach(visit);
}

void BlobStore::ForEachFree(const std::function<void(Range)>& visit) const {
  space_->region().ForEachFree(visit);
}

BlobStats BlobStore::Stats() const noexcept {
  return {.blobs = catalog_->table().blobs(),
          .blob_bytes = catalog_->table().blob_bytes(),
          .directory_bytes = directory_ != nullptr ? directory_->space_bytes() : 0,
          .capacity_bytes = backing_->capacity_bytes(),
          .checkpoint = checkpoint_,
          .region = space_->region().Stats()};
}

Expected<void> BlobStore::Validate() const {
  constexpr const char* kWhere = "BlobStore::Validate";
  const auto broken = [&](const std::string& what) {
    return blob::Corrupt(catalog_->name(), what, kWhere);
  };
  if (auto valid = space_->region().Validate(); !valid) return valid;
  // What blobs, nodes and planned places take, by address, is exactly what is used.
  std::vector<Range> taken;
  uint64_t blobs = 0;
  uint64_t blob_bytes = 0;
  for (const blob::Extent& extent : catalog_->extents().tree()) {
    if (extent.bytes != 0) taken.push_back(catalog_->extents().RangeOf(extent));
    if (extent.is_node) continue;
    ++blobs;
    blob_bytes += extent.bytes;
  }
  if (blobs != catalog_->table().blobs() || blob_bytes != catalog_->table().blob_bytes()) {
    return broken("the blobs by address are not those by id");
  }
  if (directory_ != nullptr) directory_->ForEachPlanned([&](Range r) { taken.push_back(r); });
  std::sort(taken.begin(), taken.end(),
            [](const Range& a, const Range& b) { return a.offset < b.offset; });
  uint64_t taken_bytes = 0;
  for (size_t i = 0; i < taken.size(); ++i) {
    if (i > 0 && taken[i - 1].end() > taken[i].offset) {
      return broken("two ranges overlap at " + std::to_string(taken[i].offset));
    }
    bool overlaps = false;
    space_->region().ForEachFree(taken[i], [&](Range) { overlaps = true; });
    if (overlaps) return broken("a part is free of what is at " + std::to_string(taken[i].offset));
    taken_bytes += taken[i].size;
  }
  const uint64_t used = space_->region().Stats().used_bytes - space_->lost_bytes();
  if (taken_bytes == used) return {};
  return broken(std::to_string(used) + " bytes are used, and blobs and nodes have " +
                std::to_string(taken_bytes));
}

}  // namespace granary
