#include "pool/buffer/posix_page_store.h"

#include <utility>

#include "pool/buffer/page_batch.h"

namespace granary {

Expected<std::unique_ptr<PosixPageStore>> PosixPageStore::Create(const Options& options) {
  auto file = PageFile::Open(options);
  if (!file) return tl::unexpected(std::move(file.error()));
  return std::make_unique<PosixPageStore>(std::move(*file));
}

PosixPageStore::PosixPageStore(std::unique_ptr<PageFile> file) noexcept
    : PageStore(file->page_bytes()), file_(std::move(file)) {}

void PosixPageStore::Read(std::span<PageRead> pages) noexcept {
  PageBatch<PageRead> batch(*file_, pages);
  while (true) {
    const std::span<PageRead> run = batch.NextRun(PageFile::kRunPagesMax);
    if (run.empty()) return;
    file_->Transfer(run);
  }
}

void PosixPageStore::Write(std::span<PageWrite> pages) noexcept {
  PageBatch<PageWrite> batch(*file_, pages);
  while (true) {
    const std::span<PageWrite> run = batch.NextRun(PageFile::kRunPagesMax);
    if (run.empty()) return;
    file_->Transfer(run);
  }
}

}  // namespace granary
