#include "pool/buffer/prefetcher.h"

#include <algorithm>
#include <array>
#include <new>
#include <system_error>
#include <utility>

namespace granary::buffer {

Prefetcher::Prefetcher(size_t threads_max, std::function<void(Some&)> bring)
    : bring_(std::move(bring)), threads_max_(threads_max) {}

Prefetcher::~Prefetcher() {
  {
    const std::scoped_lock lock(mutex_);
    ends_ = true;
    count_ = 0;
  }
  called_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Prefetcher::MakeThreads() noexcept {
  if (!threads_.empty()) return true;
  try {
    asked_.resize(kPagesMax);
    at_work_.resize(threads_max_);
    threads_.reserve(threads_max_);
    while (threads_.size() < threads_max_) {
      threads_.emplace_back([this, thread = threads_.size()] { Run(thread); });
    }
  } catch (const std::bad_alloc&) {
    // As many as there are; none, and the next who asks tries again.
  } catch (const std::system_error&) {
  }
  return !threads_.empty();
}

size_t Prefetcher::Ask(std::span<const PageId> pages, Access access) noexcept {
  size_t taken = 0;
  bool is_somebody_idle = false;
  {
    const std::scoped_lock lock(mutex_);
    if (pages.empty() || threads_max_ == 0 || !MakeThreads()) return 0;
    taken = std::min(pages.size(), kPagesMax - count_);
    for (const PageId& id : pages.first(taken)) At(count_++) = {id, access};
    is_somebody_idle = idle_ != 0;
  }
  if (is_somebody_idle && taken != 0) called_.notify_one();
  return taken;
}

void Prefetcher::Forget(FileId file) noexcept {
  std::unique_lock lock(mutex_);
  size_t kept = 0;
  for (size_t i = 0; i < count_; ++i) {
    if (At(i).id.file != file) At(kept++) = At(i);
  }
  count_ = kept;
  ended_one_.wait(lock, [&] { return std::ranges::find(at_work_, file) == at_work_.end(); });
}

void Prefetcher::Run(size_t thread) noexcept {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    called_.wait(lock, [&] { return ends_ || count_ != 0; });
    --idle_;
    if (ends_) return;
    const Asked first = At(0);
    at_work_[thread] = first.id.file;
    lock.unlock();
    Some some(*this, first.id.file, first.access);
    bring_(some);
    if (some.left_ == kAtOnceMax) {
      std::array<uint64_t, kLookMax> nobody_wants;
      (void)some.Take(nobody_wants);
    }
    lock.lock();
    at_work_[thread].reset();
    ended_one_.notify_all();
  }
}

size_t Prefetcher::Some::Take(std::span<uint64_t> numbers) noexcept {
  const size_t taken =
      prefetcher_.Take(file_, access_, numbers.first(std::min(left_, numbers.size())));
  left_ -= taken;
  return taken;
}

// Those that are passed over move up behind what was taken: they are the first ones then, so that
// nobody is passed over for ever.
size_t Prefetcher::Take(FileId file, Access access, std::span<uint64_t> numbers) noexcept {
  const std::scoped_lock lock(mutex_);
  size_t taken = 0;
  size_t looked_at = 0;
  while (looked_at < std::min(count_, kLookMax) && taken < numbers.size()) {
    const Asked& one = At(looked_at++);
    if (one.id.file == file && one.access == access) numbers[taken++] = one.id.page;
  }
  for (size_t from = looked_at, to = looked_at; from-- != 0;) {
    if (At(from).id.file != file || At(from).access != access) At(--to) = At(from);
  }
  first_ = (first_ + taken) % kPagesMax;
  count_ -= taken;
  return taken;
}

}  // namespace granary::buffer
