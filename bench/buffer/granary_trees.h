// granary's B+-tree, integration/examples/btree, in memory and over a file.
#ifndef GRANARY_BENCH_BUFFER_GRANARY_TREES_H_
#define GRANARY_BENCH_BUFFER_GRANARY_TREES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "bench/buffer/tree_entries.h"
#include "bench/compaction/checked.h"
#include "bench/compaction/temporary_folder.h"
#include "bench/program.h"
#include "integration/examples/btree/btree.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/open_page_store.h"
#include "pool/page_pool.h"

namespace granary::bench {

class GranaryTree {
 public:
  // Empty, with all its pages in memory however it is filled with `entries`.
  explicit GranaryTree(size_t entries) : GranaryTree(PagesMax(entries), false) {
    Open(Surely(MemoryPageStore::Create(
             {.page_bytes = kPageBytes, .pages = 0, .contents = MemoryPages::kDiscard})),
         PagesMax(entries));
  }

  // In a file, past the operating system's cache, with `frames` pages in memory.
  GranaryTree(size_t entries, size_t frames) : GranaryTree(frames, true) {
    folder_ = std::make_unique<TemporaryFolder>();
    auto store = OpenPageStore({.file = {.path = folder_->PathOf("tree"),
                                         .page_bytes = kPageBytes,
                                         .create = true,
                                         .direct = true},
                                .engine = IoEngine::kPosix});
    if (!store) {
      why_skipped_ = store.error().message;
      return;
    }
    Open(std::move(store->store), PagesMax(entries));
  }

  // Why it cannot be measured here, or nothing.
  const std::string& why_skipped() const { return why_skipped_; }

  void Insert(uint64_t entry) {
    if (!Surely(tree_->Insert(KeyOf(entry), ValueOf(entry)))) Die("granary has the key already");
  }
  // What was inserted is there for who reads.
  void Finish() {}
  // In ascending order.
  void Fill(size_t entries) {
    for (size_t entry = 0; entry < entries; ++entry) Insert(entry);
  }
  // Nothing waits to be written; what is in memory stays.
  void Settle(size_t /*pages*/) { Surely(pool_->Flush()); }

  // One thread's view of the tree.
  class Reader {
   public:
    explicit Reader(GranaryTree& tree) : tree_(*tree.tree_) {}

    [[gnu::always_inline]] uint64_t Find(uint64_t entry) {
      const auto found = tree_.Find(KeyOf(entry));
      if (!found || !*found) [[unlikely]]
        Die("granary does not find a key");
      return **found;
    }
    // The sum of the values of `count` entries.
    uint64_t Scan(uint64_t entry, size_t count) {
      uint64_t values = 0;
      const auto scanned = tree_.Scan(KeyOf(entry), [&](btree::Key, btree::Value value) {
        values += value;
        return --count != 0;
      });
      if (!scanned) Die(scanned.error().message);
      return values;
    }
    // What a reader of somebody who has no memory of his own has to do: see LmdbTree.
    void KeepToLimit() {}

   private:
    btree::BTree& tree_;
  };

 private:
  // Pages are half full if the worst comes.
  static size_t PagesMax(size_t entries) { return entries / 100 + 16; }

  GranaryTree(size_t frames, bool has_evictor)
      : frames_(Surely(PagePool::Create({.page_bytes = kPageBytes, .max_pages = frames}))),
        pool_(Surely(BufferPool::Create({.pages = frames_.get(),
                                         .frames = frames,
                                         .has_evictor = has_evictor,
                                         .record_pins = false}))) {}

  void Open(std::unique_ptr<PageStore> store, size_t pages_max) {
    AttachOptions attach;
    attach.store = std::move(store);
    attach.pages_max = pages_max;
    const FileId file = Surely(pool_->Attach(std::move(attach)));
    tree_ = Surely(btree::BTree::Create({.pool = pool_.get(), .file = file}));
  }

  // Outlives the pool, which writes to it in the end.
  std::unique_ptr<TemporaryFolder> folder_;
  std::unique_ptr<PagePool> frames_;
  std::unique_ptr<BufferPool> pool_;
  std::unique_ptr<btree::BTree> tree_;
  std::string why_skipped_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_GRANARY_TREES_H_
