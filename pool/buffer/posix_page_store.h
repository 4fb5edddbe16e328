// PosixPageStore: the pages of a file, by preadv and pwritev.
//
// Choose it where io_uring is not, and for reads of single pages that the operating system has in
// its cache, where nothing is faster. It does the runs of a batch one after the other: a device
// that does many things at once is kept busy by several threads, or by UringPageStore.
//
// Costs. One system call for each run of up to 256 pages whose numbers follow one another; no lock
// but where the file grows (shared) and in Sync.
#ifndef GRANARY_POOL_BUFFER_POSIX_PAGE_STORE_H_
#define GRANARY_POOL_BUFFER_POSIX_PAGE_STORE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "memory/error.h"
#include "pool/buffer/page_file.h"
#include "pool/buffer/page_store.h"

namespace granary {

class PosixPageStore final : public PageStore {
 public:
  using Options = PageFileOptions;

  // Opens the file. kInvalidArgument: no page size. kUnsupported: `direct` where the file system
  // cannot, or where its unit is larger than a page. kBusy: somebody else has it. kIo: the system
  // says no. An error leaves no file that was not there.
  static Expected<std::unique_ptr<PosixPageStore>> Create(const Options& options);

  // Over a file that is open; not null.
  explicit PosixPageStore(std::unique_ptr<PageFile> file) noexcept;

  void Read(std::span<PageRead> pages) noexcept override;
  void Write(std::span<PageWrite> pages) noexcept override;
  Expected<void> Sync() override { return file_->Sync(); }
  uint64_t PageCount() const noexcept override { return file_->PageCount(); }
  Expected<void> Extend(uint64_t pages) override { return file_->Extend(pages); }
  Expected<void> Truncate(uint64_t pages) override { return file_->Truncate(pages); }
  IoLimits Limits() const noexcept override { return file_->limits(); }
  std::string_view name() const noexcept override { return file_->path(); }

 private:
  const std::unique_ptr<PageFile> file_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_POSIX_PAGE_STORE_H_
