#include "pool/buffer/fix_sections.h"

#include <algorithm>
#include <new>
#include <utility>

#include "memory/owner_gate.h"

namespace granary::buffer {

FixSections::FixSections() noexcept : can_tell_(ProcessFence::Available()) {}

FixSections::~FixSections() = default;

// The new flag is known to all before the thread is inside for the first time: who looks without
// having seen it took the lock before, and hid its entries before that.
void* FixSections::FlagOfThread() noexcept {
  if (void* const displaced = threads_.FindDisplaced()) return displaced;
  Flag* flag = nullptr;
  try {
    const std::scoped_lock lock(mutex_);
    if (!idle_.empty()) {
      flag = idle_.back();
      idle_.pop_back();
    } else {
      idle_.reserve(flags_.size() + 1);
      flag = flags_.emplace_back(std::make_unique<Flag>()).get();
    }
  } catch (const std::bad_alloc&) {
    // The shared one does.
  }
  if (flag != nullptr && threads_.Set(flag)) return flag;
  if (flag != nullptr) OnThreadExit(flag);
  is_shared_used_.store(true, std::memory_order_seq_cst);
  return &shared_;
}

bool FixSections::AllAreOutside() noexcept {
  if (!can_tell_) return false;
  const std::scoped_lock lock(mutex_);
  if (is_shared_used_.load(std::memory_order_seq_cst)) return false;
  ProcessFence::Heavy();
  return std::none_of(flags_.begin(), flags_.end(), [](const std::unique_ptr<Flag>& flag) {
    return flag->is_inside.load(std::memory_order_acquire);
  });
}

void FixSections::OnThreadExit(void* flag) noexcept {
  const std::scoped_lock lock(mutex_);
  // There is room: FlagOfThread made it.
  idle_.push_back(static_cast<Flag*>(flag));
}

void FixSections::BeforeFork() noexcept { mutex_.lock(); }

void FixSections::AfterFork(bool in_child) noexcept {
  if (in_child) {
    for (const std::unique_ptr<Flag>& flag : flags_) {
      flag->is_inside.store(false, std::memory_order_relaxed);
    }
    if (can_tell_) ProcessFence::RegisterAgain();
  }
  mutex_.unlock();
}

}  // namespace granary::buffer
