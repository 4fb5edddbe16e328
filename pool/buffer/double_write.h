// DoubleWrite: keeps the images of pages that are being written, so that one that a power cut tears
// can be had again.
//
// A batch goes to a store of its own first, one page behind the other, and is made durable there;
// then to its places in the files, and these are made durable before the next batch takes the
// images' place. So of each page there is, at any moment, one whole copy at least. It costs twice
// the writing and two syncs a batch; an engine whose log has whole pages in it, or whose device
// writes pages whole, does without.
//
// After a crash Repair() puts the images where torn pages are. Pages have to say whose they are:
// ChecksumPageCodec's do.
//
// Threading. One thread at a time.
//
// Source: the doublewrite buffer of InnoDB.
#ifndef GRANARY_POOL_BUFFER_DOUBLE_WRITE_H_
#define GRANARY_POOL_BUFFER_DOUBLE_WRITE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "memory/error.h"
#include "pool/buffer/page_codec.h"
#include "pool/buffer/page_store.h"
#include "pool/buffer/page_types.h"

namespace granary::buffer {

class FileSet;

class DoubleWrite {
 public:
  // A store of pages of the pool's size, for this alone.
  explicit DoubleWrite(std::shared_ptr<PageStore> store) noexcept : store_(std::move(store)) {}

  size_t page_bytes() const noexcept { return store_->page_bytes(); }

  // The images are durable; their `page` and `error_number` are used for that. Those that were
  // there are released first, if they are not: what they are of may be torn until it is durable.
  Expected<void> Keep(std::span<PageWrite> images, FileSet& files);
  // What they are images of was written: it is made durable.
  Expected<void> Release(FileSet& files);

  // Puts images in the place of those pages of a file that are torn, and makes that durable;
  // returns how many. Before the file is used.
  Expected<size_t> Repair(FileId file, PageStore& store);

 private:
  std::shared_ptr<PageStore> store_;
  // The images are of pages that may not be durable.
  bool is_needed_ = false;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_DOUBLE_WRITE_H_
