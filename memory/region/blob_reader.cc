#include "memory/region/blob_reader.h"

#include <algorithm>
#include <utility>

#include "memory/region/blob_backing.h"
#include "memory/region/blob_catalog.h"
#include "memory/region/blob_directory.h"
#include "memory/region/blob_file.h"
#include "memory/region/blob_loading.h"

namespace granary {

BlobReader::BlobReader(std::unique_ptr<blob::BlobFile> file,
                       std::unique_ptr<blob::Backing> backing) noexcept
    : file_(std::move(file)), backing_(std::move(backing)) {}

BlobReader::~BlobReader() = default;

Expected<std::unique_ptr<BlobReader>> BlobReader::Open(const std::string& path,
                                                       const BlobReaderOptions& options) {
  FileCalls& calls = options.file_calls != nullptr ? *options.file_calls : FileCalls::Real();
  auto opened = blob::BlobFile::OpenForReading(path, calls);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  auto file = std::make_unique<blob::BlobFile>(std::move(*opened));
  const blob::Header& header = file->header();
  auto backing = blob::FileBacking::Create(file->file(), blob::kRegionBegin, header.region_bytes,
                                           options.is_mapped, options.system_calls);
  if (!backing) return tl::unexpected(std::move(backing.error()));
  const uint32_t slots_max = std::clamp<uint32_t>(header.slots, 1, options.max_blobs);
  auto table = blob::BlobTable::Create(slots_max, options.system_calls);
  if (!table) return tl::unexpected(std::move(table.error()));
  auto directory = blob::Directory::Create(slots_max, options.system_calls);
  if (!directory) return tl::unexpected(std::move(directory.error()));

  std::unique_ptr<BlobReader> reader(new BlobReader(std::move(file), std::move(*backing)));
  reader->catalog_ = std::make_unique<blob::Catalog>(path, std::move(*table), header.grain,
                                                     *reader->backing_, options.verify_loads);
  reader->directory_ = std::make_unique<blob::Directory>(std::move(*directory));
  auto loaded = blob::LoadCheckpoint(reader->file_->header(), *reader->backing_,
                                     *reader->directory_, *reader->catalog_);
  if (!loaded) return tl::unexpected(std::move(loaded.error()));
  return reader;
}

uint64_t BlobReader::checkpoint() const noexcept { return file_->header().checkpoint; }
uint64_t BlobReader::blobs() const noexcept { return catalog_->table().blobs(); }
uint64_t BlobReader::blob_bytes() const noexcept { return catalog_->table().blob_bytes(); }

Expected<std::vector<std::byte>> BlobReader::Load(BlobId id) const { return catalog_->Load(id); }

Expected<size_t> BlobReader::LoadInto(BlobId id, std::span<std::byte> buffer) const {
  return catalog_->LoadInto(id, buffer);
}

Expected<std::span<const std::byte>> BlobReader::View(BlobId id) const {
  return catalog_->View(id);
}

bool BlobReader::Contains(BlobId id) const noexcept {
  return catalog_->table().Find(id) != nullptr;
}

Expected<Range> BlobReader::AddressOf(BlobId id) const { return catalog_->AddressOf(id); }

void BlobReader::ForEach(const std::function<void(BlobId, Range)>& visit) const {
  catalog_->ForEach(visit);
}

}  // namespace granary
