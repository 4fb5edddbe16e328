// Prefetcher: pages that were asked for ahead of need, and the threads that bring them. Internal to
// pool/buffer.
#ifndef GRANARY_POOL_BUFFER_PREFETCHER_H_
#define GRANARY_POOL_BUFFER_PREFETCHER_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "pool/buffer/page_types.h"

namespace granary::buffer {

class Prefetcher {
 public:
  // Pages that wait to be brought; more are not taken.
  static constexpr size_t kPagesMax = 4096;

  // What one thread brings in one go: pages of one file, for one access.
  class Some {
   public:
    FileId file() const noexcept { return file_; }
    Access access() const noexcept { return access_; }
    // The next of the file's page numbers; returns how many, 0 if there are none now.
    size_t Take(std::span<uint64_t> numbers) noexcept;

   private:
    friend class Prefetcher;
    Some(Prefetcher& prefetcher, FileId file, Access access) noexcept
        : prefetcher_(prefetcher), file_(file), access_(access) {}

    Prefetcher& prefetcher_;
    const FileId file_;
    const Access access_;
    size_t left_ = kAtOnceMax;
  };

  // `bring` takes what there is, may take what comes meanwhile, and is done with it when it
  // returns; what it leaves is forgotten if it has taken nothing. Threads are made when the first
  // page is asked for, at most so many; if there is none, no page is taken.
  Prefetcher(size_t threads_max, std::function<void(Some&)> bring);
  // What nobody has begun to bring is forgotten.
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // Takes pages from the front, as many as there is room for; returns how many.
  size_t Ask(std::span<const PageId> pages, Access access) noexcept;
  // Returns when no page of the file waits to be brought or is being brought. Nobody asks for one
  // meanwhile.
  void Forget(FileId file) noexcept;

 private:
  // Pages of one file that are brought before others have their turn, and the store: somebody may
  // wait for a ring that it has.
  static constexpr size_t kAtOnceMax = 2048;
  // Of files that alternate, so many are gone through for those of one.
  static constexpr size_t kLookMax = 128;

  struct Asked {
    PageId id;
    Access access;
  };

  Asked& At(size_t index) noexcept { return asked_[(first_ + index) % kPagesMax]; }
  bool MakeThreads() noexcept;
  void Run(size_t thread) noexcept;
  size_t Take(FileId file, Access access, std::span<uint64_t> numbers) noexcept;

  const std::function<void(Some&)> bring_;
  const size_t threads_max_;
  std::mutex mutex_;
  // There are pages, or the end is.
  std::condition_variable called_;
  std::condition_variable ended_one_;
  // A ring; empty before the first page is asked for.
  std::vector<Asked> asked_;
  size_t first_ = 0;
  size_t count_ = 0;
  bool ends_ = false;
  size_t idle_ = 0;
  // What each thread brings pages of.
  std::vector<std::optional<FileId>> at_work_;
  std::vector<std::thread> threads_;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_PREFETCHER_H_
