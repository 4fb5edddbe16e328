#include "memory/shared_budget_account.h"

#include <new>

#include "memory/memory_budget.h"

namespace granary {

CountingBudgetAccount* SharedBudgetAccount::OfThreadSlow() noexcept {
  if (void* const found = threads_.FindDisplaced()) {
    return static_cast<CountingBudgetAccount*>(found);
  }
  CountingBudgetAccount* made = nullptr;
  {
    const std::lock_guard lock(mutex_);
    try {
      made = &accounts_.emplace_back(budget(), below_);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }
  if (threads_.Set(made)) return made;
  const std::lock_guard lock(mutex_);
  accounts_.remove_if([&](const auto& account) { return &account == made; });
  return nullptr;
}

void SharedBudgetAccount::OnThreadExit(void* value) noexcept {
  const std::lock_guard lock(mutex_);
  ended_bytes_ += static_cast<CountingBudgetAccount*>(value)->charged_bytes();
  accounts_.remove_if([&](const auto& account) { return &account == value; });
}

size_t SharedBudgetAccount::charged_bytes() const noexcept {
  const std::lock_guard lock(mutex_);
  size_t sum = ended_bytes_ + common_.charged_bytes();
  for (const auto& account : accounts_) sum += account.charged_bytes();
  return sum;
}

}  // namespace granary
