// SharedBudgetAccount: an account that any thread may use, by one for each of them.
//
// And CountingBudgetAccount, which it is made of: an account that knows what was charged by it.
#ifndef GRANARY_MEMORY_SHARED_BUDGET_ACCOUNT_H_
#define GRANARY_MEMORY_SHARED_BUDGET_ACCOUNT_H_

#include <atomic>
#include <cstddef>
#include <list>
#include <mutex>

#include "memory/budget_account.h"
#include "memory/per_thread.h"

namespace granary {

// One thread at a time; charged_bytes() from any.
class CountingBudgetAccount {
 public:
  explicit CountingBudgetAccount(MemoryBudget& budget, const MemoryBudget* below = nullptr) noexcept
      : account_(budget, below) {}

  [[nodiscard]] bool TryCharge(size_t bytes) noexcept {
    if (!account_.TryCharge(bytes)) [[unlikely]]
      return false;
    Add(bytes);
    return true;
  }
  void Release(size_t bytes) noexcept {
    Add(0 - bytes);
    account_.Release(bytes);
  }

  // As BudgetAccount::ReleaseAtEnd.
  void ReleaseAtEnd(size_t bytes) noexcept {
    Add(0 - bytes);
    account_.ReleaseAtEnd(bytes);
  }
  BudgetAccount& account() noexcept { return account_; }

  // As BudgetAccount::TransferTo.
  template <class Move>
  [[nodiscard]] bool TransferTo(CountingBudgetAccount& to, size_t bytes,
                                const Move& move) noexcept {
    if (!account_.TransferTo(to.account_, bytes, move)) return false;
    Add(0 - bytes);
    to.Add(bytes);
    return true;
  }

  // Charged by this account less released by it: modulo 2^64 if another has released it.
  size_t charged_bytes() const noexcept { return charged_.load(std::memory_order_relaxed); }
  MemoryBudget& budget() const noexcept { return account_.budget(); }

 private:
  // No read-modify-write: there is one writer at a time.
  void Add(size_t bytes) noexcept {
    charged_.store(charged_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  }

  BudgetAccount account_;
  std::atomic<size_t> charged_ = 0;
};

// Any thread. A thread's account ends with the thread, its credit back in the budget.
class SharedBudgetAccount final : private PerThread::Owner {
 public:
  explicit SharedBudgetAccount(MemoryBudget& budget, const MemoryBudget* below = nullptr) noexcept
      : below_(below), common_(budget, below) {}

  SharedBudgetAccount(const SharedBudgetAccount&) = delete;
  SharedBudgetAccount& operator=(const SharedBudgetAccount&) = delete;

  [[nodiscard]] bool TryCharge(size_t bytes) noexcept {
    if (auto* const mine = OfThread()) [[likely]]
      return mine->TryCharge(bytes);
    const std::lock_guard lock(mutex_);
    return common_.TryCharge(bytes);
  }
  void Release(size_t bytes) noexcept {
    if (auto* const mine = OfThread()) [[likely]] {
      mine->Release(bytes);
      return;
    }
    const std::lock_guard lock(mutex_);
    common_.Release(bytes);
  }

  // Of this moment.
  size_t charged_bytes() const noexcept;
  MemoryBudget& budget() const noexcept { return common_.budget(); }

 private:
  // nullptr where a thread can have none.
  CountingBudgetAccount* OfThread() noexcept {
    void* const found = threads_.Find();
    return found != nullptr ? static_cast<CountingBudgetAccount*>(found) : OfThreadSlow();
  }
  CountingBudgetAccount* OfThreadSlow() noexcept;
  void OnThreadExit(void* account) noexcept override;

  const MemoryBudget* const below_;
  mutable std::mutex mutex_;
  std::list<CountingBudgetAccount> accounts_;
  // For threads without one.
  CountingBudgetAccount common_;
  // What accounts that have ended had charged.
  size_t ended_bytes_ = 0;

  // Last: no hook runs once the rest is being destroyed.
  PerThread threads_{*this};
};

}  // namespace granary

#endif  // GRANARY_MEMORY_SHARED_BUDGET_ACCOUNT_H_
