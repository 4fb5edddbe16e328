// BudgetAccount: what one owner charges to a MemoryBudget, prepaid.
//
// An arena has one, or a thread. A charge or a release is a dozen instructions without an atomic
// read-modify-write, as long as the account's credit covers it; otherwise it takes a quantum from
// the budget, or gives one back. What is charged by one account may be released by another of the
// same budget.
//
// Threading. One thread at a time; the budget takes the credit back from any.
#ifndef GRANARY_MEMORY_BUDGET_ACCOUNT_H_
#define GRANARY_MEMORY_BUDGET_ACCOUNT_H_

#include <boost/intrusive/list_hook.hpp>
#include <cstddef>
#include <cstdint>

#include "memory/owner_gate.h"

namespace granary {

class MemoryBudget;

// Whether a hook is linked its owner knows, so that nothing has to be written into a new one.
using UnmarkedListHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>;

class BudgetAccount : public UnmarkedListHook {
 public:
  // Charges `budget` and all above it; with `below`, which is one of those, only what is below that
  // one. No memory, no lock.
  explicit BudgetAccount(MemoryBudget& budget, const MemoryBudget* below = nullptr) noexcept
      : budget_(budget), below_(below) {}

  // Gives its credit back. What it has charged stays charged.
  ~BudgetAccount() {
    if (is_listed_) [[unlikely]]
      Close();
  }

  BudgetAccount(const BudgetAccount&) = delete;
  BudgetAccount& operator=(const BudgetAccount&) = delete;

  // True if `bytes` are charged; otherwise nothing has changed. May run reclaimers, as
  // MemoryBudget::TryCharge.
  [[nodiscard, gnu::always_inline]] bool TryCharge(size_t bytes) noexcept {
    if (bytes <= kFastMax) [[likely]] {
      if (const OwnerGate<>::Cursor at = gate_.EnterAbove(2 * bytes)) [[likely]] {
        gate_.Leave(at - 2 * bytes);
        return true;
      }
    }
    return ChargeSlow(bytes);
  }

  [[gnu::always_inline]] void Release(size_t bytes) noexcept {
    if (bytes <= kFastMax) [[likely]] {
      if (const OwnerGate<>::Cursor at = gate_.EnterBelow(2 * bytes)) [[likely]] {
        gate_.Leave(at + 2 * bytes);
        return;
      }
    }
    ReleaseSlow(bytes);
  }

  // The same when the budget ends its accounts (MemoryBudget::EndAccounts), which is soon: a few
  // instructions whatever it is.
  void ReleaseAtEnd(size_t bytes) noexcept { released_at_end_ += bytes; }

  // Makes `bytes`, which were charged by this account, charged by `to`, of the same tree and with
  // the same `below`: if they fit there, and `move`, which is called when that is certain, returns
  // true. What is above both is not concerned and needs no room. May run reclaimers.
  template <class Move>
  [[nodiscard]] bool TransferTo(BudgetAccount& to, size_t bytes, const Move& move) noexcept {
    if (!BeginTransfer(to, bytes)) return false;
    const bool done = move();
    EndTransfer(to, bytes, done);
    return done;
  }

  MemoryBudget& budget() const noexcept { return budget_; }

 private:
  friend class BudgetTree;

  // The gate's cursor is twice the credit, and kEmpty where there is none.
  static constexpr OwnerGate<>::Cursor kEmpty = 2;
  static constexpr uint32_t kQuantumMin = uint32_t{16} << 10;
  static constexpr uint32_t kQuantumMax = uint32_t{1} << 20;
  // More is not worth prepaying.
  static constexpr size_t kFastMax = size_t{1} << 40;

  void Close() noexcept;
  bool BeginTransfer(BudgetAccount& to, size_t bytes) noexcept;
  void EndTransfer(BudgetAccount& to, size_t bytes, bool done) noexcept;
  bool ChargeSlow(size_t bytes) noexcept;
  void ReleaseSlow(size_t bytes) noexcept;

  // With the tree's lock.
  size_t credit() const noexcept { return is_started_ ? CreditAt(gate_.Look()) : 0; }
  void Start(size_t credit) noexcept {
    is_started_ = true;
    gate_.Start(kEmpty, kEmpty + 4 * OwnerGate<>::Cursor{quantum_}, kEmpty + 2 * credit);
  }
  void Stop() noexcept { gate_.Stop(); }
  // After Stop, as OwnerGate::WaitUntilOut; returns the credit, which is the caller's now.
  size_t TakeCredit() noexcept {
    is_started_ = false;
    return CreditAt(gate_.WaitUntilOut());
  }
  static size_t CreditAt(OwnerGate<>::Cursor at) noexcept { return (at - kEmpty) / 2; }

  OwnerGate<> gate_;
  MemoryBudget& budget_;
  const MemoryBudget* const below_;
  // How much it prepays; the tree's, as is the rest.
  uint32_t quantum_ = kQuantumMin;
  bool is_started_ = false;
  // In the budget's list. By the owner, and so read without the lock, as the list's links cannot
  // be.
  bool is_listed_ = false;
  // The owner's.
  size_t released_at_end_ = 0;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_BUDGET_ACCOUNT_H_
