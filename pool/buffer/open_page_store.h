// OpenPageStore: the best store that this machine has for a file.
#ifndef GRANARY_POOL_BUFFER_OPEN_PAGE_STORE_H_
#define GRANARY_POOL_BUFFER_OPEN_PAGE_STORE_H_

#include <memory>
#include <string>

#include "memory/error.h"
#include "pool/buffer/page_file.h"
#include "pool/buffer/page_store.h"
#include "pool/buffer/uring_page_store.h"

namespace granary {

// How a file is read and written.
enum class IoEngine : uint8_t {
  kAuto,   // By io_uring, and where there is none by preadv and pwritev.
  kPosix,  // By preadv and pwritev.
  kUring,  // By io_uring, or an error.
};

struct OpenPageStoreOptions {
  PageFileOptions file = {};
  IoEngine engine = IoEngine::kAuto;
  UringOptions uring = {};
};

struct OpenedPageStore {
  std::unique_ptr<PageStore> store;
  // Why it is not what would have been better, for a log; or nothing.
  std::string note;
};

// Opens the file once, whatever store comes of it. Errors are those of PosixPageStore::Create and,
// under kUring, of UringPageStore::Create; options of rings that make no sense are one under kAuto
// as well.
Expected<OpenedPageStore> OpenPageStore(const OpenPageStoreOptions& options);

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_OPEN_PAGE_STORE_H_
