#include "pool/buffer/open_page_store.h"

#include <utility>

#include "pool/buffer/posix_page_store.h"

namespace granary {

Expected<OpenedPageStore> OpenPageStore(const OpenPageStoreOptions& options) {
  if (auto checked = options.uring.Check(); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  auto file = PageFile::Open(options.file);
  if (!file) return tl::unexpected(std::move(file.error()));
  OpenedPageStore opened;
  if (options.engine != IoEngine::kPosix) {
    auto store = UringPageStore::Create(*file, options.uring);
    if (store) {
      opened.store = std::move(*store);
      return opened;
    }
    if (options.engine == IoEngine::kUring) return tl::unexpected(std::move(store.error()));
    opened.note =
        std::move(store.error().message) + "; it is read and written by preadv and pwritev";
  }
  opened.store = std::make_unique<PosixPageStore>(std::move(*file));
  return opened;
}

}  // namespace granary
