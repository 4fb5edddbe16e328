#include "memory/region/region_snapshot.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "memory/file.h"

namespace granary {

namespace region {

Expected<void> WriteNewSnapshot(const EncodedSnapshot& snapshot, const std::string& path,
                                FileCalls& calls) {
  const std::string new_path = path + ".new";
  const auto write = [&]() -> Expected<void> {
    auto file = File::Open(new_path, O_WRONLY | O_CREAT | O_TRUNC, 0644, calls);
    if (!file) return tl::unexpected(std::move(file.error()));
    if (auto done = file->WriteAt(0, snapshot.bytes); !done) return done;
    if (auto done = file->Sync(); !done) return done;
    return file->Close();
  };
  auto written = write();
  if (!written) (void)calls.Unlink(new_path.c_str());
  return written;
}

Expected<void> RenameNewSnapshot(const std::string& path, FileCalls& calls) {
  const std::string new_path = path + ".new";
  auto renamed = RenameDurably(new_path, path, calls);
  // It is there only if the rename is what failed.
  if (!renamed) (void)calls.Unlink(new_path.c_str());
  return renamed;
}

}  // namespace region

Expected<SavedSnapshot> SaveSnapshot(const EncodedSnapshot& snapshot, const std::string& path,
                                     FileCalls& calls) {
  if (auto done = region::WriteNewSnapshot(snapshot, path, calls); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  if (auto done = region::RenameNewSnapshot(path, calls); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  return SavedSnapshot{.bytes = snapshot.bytes.size(), .checksum = snapshot.checksum};
}

Expected<SavedSnapshot> SaveSnapshot(const RegionAllocator& region, const std::string& path,
                                     SnapshotLabel label, FileCalls& calls) {
  return SaveSnapshot(EncodeSnapshot(region.Image(), label), path, calls);
}

Expected<LoadedSnapshot> LoadSnapshot(const std::string& path, FileCalls& calls,
                                      SystemCalls& system_calls) {
  auto file = File::Open(path, O_RDONLY, 0, calls);
  if (!file) return tl::unexpected(std::move(file.error()));
  const auto size = file->Size();
  if (!size) return tl::unexpected(size.error());
  const auto bytes = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(*size));
  const std::span<std::byte> all(bytes.get(), static_cast<size_t>(*size));
  if (auto read = file->ReadAt(0, all); !read) return tl::unexpected(std::move(read.error()));
  const auto of_file = [&](Error error) {
    error.message = path + ": " + error.message;
    return tl::unexpected(std::move(error));
  };
  auto decoded = DecodeSnapshot(all);
  if (!decoded) return of_file(std::move(decoded.error()));
  auto region = RegionAllocator::FromImage(decoded->image, system_calls);
  if (!region) {
    // What the decoder lets through has options that nobody can have saved.
    if (region.error().code == ErrorCode::kInvalidArgument) {
      region.error().code = ErrorCode::kCorrupt;
    }
    return of_file(std::move(region.error()));
  }
  return LoadedSnapshot{.region = std::move(*region),
                        .label = decoded->label,
                        .checksum = decoded->checksum,
                        .bytes = *size};
}

}  // namespace granary
