// BudgetTree: what all nodes of a MemoryBudget's tree have in common: the lock, who waits, and how
// a request is served or refused. Internal to memory/.
#ifndef GRANARY_MEMORY_BUDGET_TREE_H_
#define GRANARY_MEMORY_BUDGET_TREE_H_

#include <array>
#include <boost/intrusive/list.hpp>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <mutex>

#include "memory/memory_budget.h"

namespace granary {

class BudgetTree {
 public:
  using Clock = Reclaimer::Clock;

  // A request for `bytes` at `node` and above, but for `below` and what is above that.
  struct Request {
    MemoryBudget* node;
    const MemoryBudget* below;
    size_t bytes;
    // Asked after each reclaimer, if there is one: whether the requester needs no charge any more.
    const FoundElsewhere* found = nullptr;
    // Who has a higher priority is not asked. A request that asks not everybody is refused without
    // a trace.
    int priority_max = INT32_MAX;
  };

  enum class Outcome {
    kCharged,
    kFoundElsewhere,
    kRefused,
    kAborted,
    kTimedOut,
    kNobodyElseHolds,  // There is nobody to wait for.
    kEverybodyWaits,
  };

  BudgetTree() = default;
  BudgetTree(const BudgetTree&) = delete;
  BudgetTree& operator=(const BudgetTree&) = delete;

  // Charges what the request asks for. With `deadline` it waits for others to release memory.
  // `account`, if any, is stopped before, and prepays if there is room.
  Outcome Charge(const Request& request, BudgetAccount* account,
                 const Clock::time_point* deadline) noexcept;
  // The same as far as it asks nobody; refuses without a trace.
  bool ChargeFree(const Request& request) noexcept;
  void Release(const Request& request, BudgetAccount* account) noexcept;
  // Charges `to` what is charged to `from`, too; what is above both of them is not concerned. True,
  // or nothing has changed. Then one of the two is no longer charged: `from` if it is `done`.
  bool BeginTransfer(const Request& from, MemoryBudget& to) noexcept;
  void EndTransfer(const Request& from, MemoryBudget& to, bool done) noexcept;

  void Close(BudgetAccount& account) noexcept;
  void EndAccounts(MemoryBudget& node, std::initializer_list<BudgetAccount*> accounts) noexcept;
  void Close(MemoryBudget& node) noexcept;
  void Abort(MemoryBudget& node, std::unique_ptr<Error> reason) noexcept;
  void SetLimits(MemoryBudget& node, size_t hard_limit, size_t soft_limit) noexcept;

  void Add(MemoryBudget& node, Reclaimer& reclaimer, int priority,
           Reclaimer::Serves serves) noexcept;
  void Remove(Reclaimer& reclaimer) noexcept;

  BudgetStats Stats(const MemoryBudget& node) noexcept;
  // Fills `out` in the order of Snapshot as far as it goes; returns how many nodes there are.
  size_t Snapshot(const MemoryBudget& node, BudgetStats* out, size_t out_count) noexcept;

  // Of the calling thread: who was refused last, and by which limit.
  struct LastRefusal {
    const MemoryBudget* node;
    const MemoryBudget* limit;
    size_t limit_bytes;
    size_t asked_bytes;
  };
  static LastRefusal& last_refusal() noexcept { return last_refusal_; }

  // What a message about a refusal needs. No memory is allocated under the lock, so it comes as
  // plain values.
  struct Holders {
    static constexpr size_t kMax = 5;

    // Nullptr if the request would be served.
    const MemoryBudget* limit = nullptr;
    size_t limit_bytes = 0;
    size_t taken_bytes = 0;
    struct Holder {
      const char* name;
      uint64_t number;
      size_t bytes;
    };
    // Of the limit's children those that have most of it, and of theirs those that have most.
    std::array<Holder, kMax> largest = {};
    size_t count = 0;
    size_t others_bytes = 0;
    std::array<Holder, kMax> below = {};
    size_t below_count = 0;
  };
  Holders HoldersAgainst(const Request& request) noexcept;
  // The node that was aborted, this one or one above it, or nullptr; and its reason.
  static const MemoryBudget* FindAborted(const MemoryBudget& node) noexcept;
  static const Error* AbortedAt(const MemoryBudget& node) noexcept;

 private:
  // The lowest node that is at or above both.
  static const MemoryBudget* CommonOf(const MemoryBudget& a, const MemoryBudget& b) noexcept;

  using Lock = std::unique_lock<std::mutex>;

  Lock Acquire() noexcept;

  struct Waiter : boost::intrusive::list_base_hook<> {
    Request request;
    bool is_over = false;
    Outcome outcome = Outcome::kTimedOut;
    std::condition_variable wake;
  };

  // A reclaimer that this thread is calling.
  struct Call {
    Reclaimer* reclaimer;
    bool is_removed;
    Call* outer;
  };
  // Whom a request has asked already.
  struct Asked {
    static constexpr size_t kMax = 64;
    struct Who {
      const Reclaimer* reclaimer;
      int priority;
    };
    std::array<Who, kMax> list;
    size_t count = 0;

    bool Has(const Reclaimer& reclaimer) const noexcept;
    void Add(const Reclaimer& reclaimer) noexcept;
    // Those before `priority` may be asked again.
    void ForgetBefore(int priority) noexcept;
  };

  // All with the lock.
  // The lowest node in whose limit the request does not fit, or nullptr.
  static MemoryBudget* FindFull(const Request& request) noexcept;
  // The same, after taking back what accounts in its way have prepaid.
  MemoryBudget* FindFullHarvested(const Request& request) noexcept;
  void Take(const Request& request) noexcept;
  // Makes a node known to its parent.
  static void Link(MemoryBudget& node) noexcept;
  static void Unlink(MemoryBudget& node) noexcept;
  void PutBack(const Request& request) noexcept;
  // Takes the request's credit back.
  void Settle(BudgetAccount& account) noexcept;
  // Prepays as far as there is room, and lets the account go on without the lock.
  void Prepay(BudgetAccount& account) noexcept;
  // Takes back the credit of all accounts at `node` and below.
  void Harvest(MemoryBudget& node) noexcept;
  void ServeWaiters() noexcept;
  Outcome Wait(Lock& lock, const Request& request, Clock::time_point deadline) noexcept;
  // Whether nobody but the one who requests, or nobody who is not waiting, holds memory of `full`.
  Outcome WhoCouldRelease(const MemoryBudget& full, const Request& request) const noexcept;
  bool IsWaitedForBelow(const MemoryBudget& node) const noexcept;

  // Asks one after the other until the request fits, or is not needed, or all were asked. The lock
  // is given up meanwhile. kCharged means that it fits.
  Outcome Reclaim(Lock& lock, const Request& request, Clock::time_point deadline) noexcept;
  // Returns how much it said that it has released.
  size_t CallReclaimer(Lock& lock, Reclaimer& reclaimer, size_t bytes,
                       Clock::time_point deadline) noexcept;
  // The next one to ask; nullptr, and whether one was passed over because it is at work.
  Reclaimer* NextReclaimer(MemoryBudget& full, const Request& request, const Asked& asked,
                           bool* others_are_busy) noexcept;
  // Returns when it is not at work, unless it is the one that calls.
  void Remove(Lock& lock, Reclaimer& reclaimer) noexcept;
  void AskForSoftLimits(Lock& lock, const Request& request) noexcept;

  // NOLINTBEGIN(readability-identifier-naming): taken for local variables.
  static constinit thread_local Call* call_;
  static constinit thread_local LastRefusal last_refusal_;
  // NOLINTEND(readability-identifier-naming)

  std::mutex mutex_;
  boost::intrusive::list<Waiter> waiters_;
  // A reclaimer has come back.
  std::condition_variable reclaimed_;
  uint64_t rounds_ = 0;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_BUDGET_TREE_H_
