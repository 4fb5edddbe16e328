// ChargedResource: a resource whose every byte is charged to a MemoryBudget before it is taken.
//
//   granary::MemoryBudget query(engine, {.name = "query", .hard_limit_bytes = 64 << 20});
//   granary::ChargedResource memory(query, upstream);
//   granary::Arena arena({.upstream = &memory});   // no block beyond the query's limit
//
// What is charged is what callers ask for, a byte for a size of zero. A refusal by the budget and
// one by upstream look alike to TryAllocate; the exception of allocate() tells them apart.
//
// Which to choose: ChargedResource for one thread at a time, SharedChargedResource for any; the
// latter stands on an upstream that takes any thread.
//
// Costs. Upstream's, and a dozen instructions without an atomic read-modify-write; the shared one
// has an account for each thread that uses it.
#ifndef GRANARY_MEMORY_CHARGED_RESOURCE_H_
#define GRANARY_MEMORY_CHARGED_RESOURCE_H_

#include <algorithm>
#include <cstddef>

#include "memory/memory_budget.h"
#include "memory/memory_resource.h"
#include "memory/shared_budget_account.h"

namespace granary {

// What BasicChargedResource is made of: another resource's calls, each with its charge. By itself
// for who has several upstreams, and is a MemoryResource once.
template <class Account>
class ChargedCalls {
 public:
  explicit ChargedCalls(MemoryBudget& budget, const MemoryBudget* below = nullptr) noexcept
      : account_(budget, below) {}

  // `charge` is what the block takes, if that is not what is asked for.
  [[nodiscard]] void* TryAllocate(auto& upstream, size_t bytes, size_t alignment,
                                  size_t charge) noexcept {
    if (!account_.TryCharge(charge)) [[unlikely]]
      return nullptr;
    void* const p = upstream.TryAllocate(bytes, alignment);
    if (p == nullptr) [[unlikely]] {
      account_.Release(charge);
      budget().ForgetRefusal();
    }
    return p;
  }
  [[nodiscard]] void* TryAllocate(auto& upstream, size_t bytes, size_t alignment) noexcept {
    return TryAllocate(upstream, bytes, alignment, ChargeFor(bytes));
  }

  [[nodiscard]] bool TryResize(auto& upstream, void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment, size_t before, size_t after) noexcept {
    if (after > before && !account_.TryCharge(after - before)) return false;
    const bool resized = upstream.TryResize(p, old_bytes, new_bytes, alignment);
    // What is charged too much by now.
    const size_t excess =
        resized ? before - std::min(before, after) : after - std::min(before, after);
    if (excess != 0) account_.Release(excess);
    return resized;
  }
  [[nodiscard]] bool TryResize(auto& upstream, void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept {
    return TryResize(upstream, p, old_bytes, new_bytes, alignment, ChargeFor(old_bytes),
                     ChargeFor(new_bytes));
  }

  void Deallocate(auto& upstream, void* p, size_t bytes, size_t alignment, size_t charge) noexcept {
    upstream.deallocate(p, bytes, alignment);
    account_.Release(charge);
  }
  void Deallocate(auto& upstream, void* p, size_t bytes, size_t alignment) noexcept {
    Deallocate(upstream, p, bytes, alignment, ChargeFor(bytes));
  }

  void ReleaseChain(auto& upstream, const BlockChain& chain) noexcept {
    upstream.ReleaseChain(chain);
    account_.Release(chain.bytes);
  }

  // For memory that goes to another object of this class: its charge. Without any there is no call
  // of the budget's, but of `move`.
  template <class Move>
  [[nodiscard]] bool TransferTo(ChargedCalls& to, size_t bytes, const Move& move) noexcept {
    return bytes == 0 ? move() : account_.TransferTo(to.account_, bytes, move);
  }

  // As the above, with the charge released at the end of the account.
  void ReleaseChainAtEnd(auto& upstream, const BlockChain& chain) noexcept {
    upstream.ReleaseChain(chain);
    account_.ReleaseAtEnd(chain.bytes);
  }

  size_t charged_bytes() const noexcept { return account_.charged_bytes(); }
  MemoryBudget& budget() const noexcept { return account_.budget(); }
  BudgetAccount& account() noexcept { return account_.account(); }

  static size_t ChargeFor(size_t bytes) noexcept { return bytes + (bytes == 0); }

 private:
  Account account_;
};

template <class Account>
class BasicChargedResource final : public MemoryResource {
 public:
  // `budget` and `upstream` outlive it. With `below`, a node above `budget`, that one and those
  // above it are not charged: they are for the same memory already, by who owns upstream.
  BasicChargedResource(MemoryBudget& budget, MemoryResource& upstream,
                       const MemoryBudget* below = nullptr) noexcept
      : MemoryResource(Deallocation::kFrees, upstream.max_alignment()),
        upstream_(upstream),
        calls_(budget, below) {}

  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override {
    return calls_.TryAllocate(upstream_, bytes, alignment);
  }
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override {
    return calls_.TryResize(upstream_, p, old_bytes, new_bytes, alignment);
  }
  void ReleaseChain(const BlockChain& chain) noexcept override {
    calls_.ReleaseChain(upstream_, chain);
  }
  size_t Trim() noexcept override { return upstream_.Trim(); }
  size_t block_bytes() const noexcept override { return upstream_.block_bytes(); }

  // asked, used and held are all what is charged through this object.
  MemoryStats Stats() const noexcept override {
    const size_t charged = calls_.charged_bytes();
    return {.asked_bytes = charged, .used_bytes = charged, .held_bytes = charged};
  }

  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override {
    if (budget().has_refused()) budget().ThrowRefusal(calls_.ChargeFor(bytes));
    upstream_.ThrowRefusal(bytes, alignment);
    __builtin_unreachable();
  }

  MemoryBudget& budget() const noexcept { return calls_.budget(); }
  MemoryResource& upstream() const noexcept { return upstream_; }

 private:
  void do_deallocate(void* p, size_t bytes, size_t alignment) override {
    calls_.Deallocate(upstream_, p, bytes, alignment);
  }

  MemoryResource& upstream_;
  ChargedCalls<Account> calls_;
};

// One thread at a time, and any.
using ChargedResource = BasicChargedResource<CountingBudgetAccount>;
using SharedChargedResource = BasicChargedResource<SharedBudgetAccount>;

}  // namespace granary

#endif  // GRANARY_MEMORY_CHARGED_RESOURCE_H_
