#include "pool/buffer/double_write.h"

#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "memory/system_memory.h"
#include "pool/buffer/file_set.h"

namespace granary::buffer {

namespace {

Error Failure(const PageStore& store, uint64_t page, const char* what, int error_number) {
  return {.code = ErrorCode::kIo,
          .message = "page " + std::to_string(page) + " of " + std::string(store.name()) +
                     " could not be " + what + ": " + std::strerror(error_number),
          .where = "DoubleWrite",
          .system_errno = error_number};
}

}  // namespace

Expected<void> DoubleWrite::Keep(std::span<PageWrite> images, FileSet& files) {
  if (is_needed_) {
    if (auto released = Release(files); !released) return released;
  }
  uint64_t page = 0;
  for (PageWrite& image : images) image.page = page++;
  store_->Write(images);
  for (const PageWrite& image : images) {
    if (image.error_number != 0) {
      return tl::unexpected(Failure(*store_, image.page, "written", image.error_number));
    }
  }
  auto synced = store_->Sync();
  is_needed_ = synced.has_value();
  return synced;
}

Expected<void> DoubleWrite::Release(FileSet& files) {
  auto synced = files.SyncWritten();
  if (synced) is_needed_ = false;
  return synced;
}

// Images of batches before the last one may be there too; what they are of was durable before the
// last one was kept, and is torn only if it is in that as well, with a later place in the log.
Expected<size_t> DoubleWrite::Repair(FileId file, PageStore& store) {
  const ChecksumPageCodec codec;
  const uint64_t slots = store_->PageCount();
  const size_t bytes = store_->page_bytes();
  if (slots == 0) return size_t{0};
  auto memory = SystemMemory::Reserve({.reserve_bytes = static_cast<size_t>(slots + 1) * bytes,
                                       .alignment = 4096,
                                       .commit = CommitPolicy::kOnTouch});
  if (!memory) return tl::unexpected(std::move(memory.error()));
  std::vector<PageRead> reads;
  for (uint64_t slot = 0; slot < slots; ++slot) {
    reads.push_back({.page = slot, .bytes = memory->data() + slot * bytes});
  }
  store_->Read(reads);
  std::map<uint64_t, std::span<const std::byte>> images;
  for (const PageRead& read : reads) {
    if (read.error_number != 0) {
      return tl::unexpected(Failure(*store_, read.page, "read", read.error_number));
    }
    const std::span<const std::byte> image(read.bytes, bytes);
    const PageHeader header = PageHeader::Of(image);
    // One that is torn itself was being kept, and what it is of was not touched.
    if (header.id.file != file || codec.Verify(image, header.id) != PageVerdict::kOk) continue;
    const auto [at, is_new] = images.emplace(header.id.page, image);
    if (!is_new && codec.LsnOf(at->second) < header.lsn) at->second = image;
  }
  size_t repaired = 0;
  for (const auto& [page, image] : images) {
    PageRead there = {.page = page, .bytes = memory->data() + slots * bytes};
    store.Read({&there, 1});
    if (there.error_number != 0 && there.error_number != ENODATA) {
      return tl::unexpected(Failure(store, page, "read", there.error_number));
    }
    if (there.error_number == 0 &&
        codec.Verify({there.bytes, bytes}, {file, page}) == PageVerdict::kOk) {
      continue;
    }
    PageWrite again = {.page = page, .bytes = image.data()};
    store.Write({&again, 1});
    if (again.error_number != 0) {
      return tl::unexpected(Failure(store, page, "written", again.error_number));
    }
    ++repaired;
  }
  if (repaired != 0) {
    if (auto synced = store.Sync(); !synced) return tl::unexpected(std::move(synced.error()));
  }
  return repaired;
}

}  // namespace granary::buffer
