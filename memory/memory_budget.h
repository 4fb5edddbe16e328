// MemoryBudget: one number over all memory, as a tree of limits.
//
//   granary::MemoryBudget process({.name = "process", .hard_limit_bytes = 8 << 30});
//   granary::MemoryBudget query(process, {.name = "query", .number = 17,
//                                         .hard_limit_bytes = 1 << 30});
//   granary::BudgetAccount account(query);          // one thread's: prepaid, a few instructions
//   if (!account.TryCharge(bytes)) return tl::unexpected(query.Refusal(bytes));
//   ...
//   account.Release(bytes);
//
// What is charged to a node is charged to all above it. No node ever has more than its hard limit,
// and nobody is refused what would fit: before a refusal the budget takes back what accounts have
// prepaid and not used, and asks those to release memory that said they could (Reclaimer).
//
// How it works. The tree has one lock. An account takes a quantum at once under it, up to a
// megabyte, and then charges against that with plain arithmetic: two atomic read-modify-writes, the
// lock's, for a quantum of any depth. Near a limit quanta shrink, down to what is asked for. An
// account whose prepaid bytes are needed is stopped (OwnerGate) and its credit taken; it comes back
// to the lock with its next charge. A node is made and destroyed without the lock if nothing was
// ever charged to it.
//
// Soft limits refuse nothing: what goes over one asks the reclaimers below it for the excess.
//
// Waiting. TryCharge waits for nobody but a reclaimer that is at work, Charge until its deadline
// for what others release. A waiter that nobody can help fails at once: one whose own scope is the
// only holder, and the last one when every holder waits. Who fits is served first, in the order of
// arrival: a large request does not hold up the small ones behind it.
//
// Threading. Everything from any thread. A node outlives its children, accounts and reservations.
// No lock is held while a Reclaimer or a visitor runs; no memory is allocated while it is held.
//
// Fork. Not for children: another thread may have held the lock.
//
// Sources: memory trackers with consumption up the tree of Apache Impala; arbitration and quantised
// reservations of Velox (P. Pedreira et al., VLDB 2022); the deadlocks that both met.
#ifndef GRANARY_MEMORY_MEMORY_BUDGET_H_
#define GRANARY_MEMORY_MEMORY_BUDGET_H_

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "memory/budget_account.h"
#include "memory/error.h"

namespace granary {

class BudgetTree;
class MemoryBudget;

struct MemoryBudgetOptions {
  // A string literal, or one that outlives the budget; with `number`, unless that is 0, behind it.
  const char* name = "memory";
  uint64_t number = 0;
  size_t hard_limit_bytes = SIZE_MAX;
  size_t soft_limit_bytes = SIZE_MAX;
};

// Who can release memory when others need it: a cache that evicts, a query that spills, a pool that
// gives free pages back.
class Reclaimer : public UnmarkedListHook {
 public:
  using Clock = std::chrono::steady_clock;

  // The priority of who has memory that nobody uses: free pages that are still there.
  static constexpr int kIdle = INT32_MIN;

  // Which requests it is asked for.
  enum class Serves : uint8_t {
    kOthers,    // Not those of its own scope or below: that could not be in the middle of things.
    kEveryone,  // Its own scope's too, from within their allocations.
  };

  // Releases what it can of `bytes` to the budget before `deadline`, and returns how much. Called
  // on the thread that needs memory, by one thread at a time. It may charge, and is refused if
  // there is no room: neither a reclaimer is asked on its behalf, nor does it wait.
  virtual size_t Reclaim(size_t bytes, Clock::time_point deadline) noexcept = 0;

 protected:
  Reclaimer() noexcept = default;
  // One that a budget may still call is misuse: a report and std::abort.
  virtual ~Reclaimer();

 private:
  friend class BudgetTree;

  MemoryBudget* budget_ = nullptr;
  int priority_ = 0;
  Serves serves_ = Serves::kOthers;
  bool is_busy_ = false;
};

// Memory that may turn up elsewhere while reclaimers are at work: free pages of a pool.
class FoundElsewhere {
 public:
  // Called with the budgets' lock: short, and without any lock of its own.
  virtual bool IsFound() const noexcept = 0;

 protected:
  ~FoundElsewhere() = default;
};

// What a budget says about a node. Bytes are of one moment for all nodes.
struct BudgetStats {
  const char* name = "";
  uint64_t number = 0;
  // 0 for the node itself, 1 for its children, and so on.
  size_t depth = 0;
  size_t hard_limit_bytes = 0;
  size_t soft_limit_bytes = 0;
  // Charged, what accounts have prepaid included; never more than the hard limit.
  size_t taken_bytes = 0;
  // Of these, prepaid and not used. taken_bytes - prepaid_bytes is what callers have.
  size_t prepaid_bytes = 0;
  // The most that was ever taken.
  size_t peak_bytes = 0;
  // Of taken_bytes, what nodes below still had when they were destroyed.
  size_t escaped_bytes = 0;
  // Requests for which there was no room here, and those of them that waited or timed out.
  uint64_t refusals = 0;
  uint64_t waits = 0;
  uint64_t timeouts = 0;
  // What reclaimers of this node said that they released.
  uint64_t reclaimed_bytes = 0;
  bool is_aborted = false;
  // Times that the lock was taken to charge or release, anywhere in the tree.
  uint64_t rounds = 0;
};

// Bytes that are charged already, for a place that cannot fail. One thread at a time.
class [[nodiscard]] Reservation {
 public:
  Reservation() noexcept = default;
  Reservation(Reservation&& other) noexcept
      : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
  Reservation& operator=(Reservation&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Reservation();

  size_t bytes() const noexcept { return bytes_; }

  // Makes `bytes` of it the caller's, to be released to the budget one day. Cannot fail as long as
  // there are so many; more abort.
  void Take(size_t bytes) noexcept;

 private:
  friend class MemoryBudget;
  Reservation(MemoryBudget* budget, size_t bytes) noexcept : budget_(budget), bytes_(bytes) {}

  MemoryBudget* budget_ = nullptr;
  size_t bytes_ = 0;
};

class MemoryBudget : public UnmarkedListHook {
 public:
  using Clock = Reclaimer::Clock;

  // The root of a tree. Throws std::bad_alloc.
  explicit MemoryBudget(const MemoryBudgetOptions& options);
  // A node below `parent`. A few stores.
  MemoryBudget(MemoryBudget& parent, const MemoryBudgetOptions& options) noexcept;

  // What is still charged stays charged to the parent, as escaped.
  ~MemoryBudget() {
    if (end_is_slow_) [[unlikely]]
      End();
  }

  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // --- Charging, by the lock; a BudgetAccount does it without ---------------------------------

  // True if `bytes` are charged here and above. May run reclaimers.
  [[nodiscard]] bool TryCharge(size_t bytes) noexcept;

  // The same of what is free, or prepaid and not used: false where a reclaimer would have to be
  // asked, for a soft limit too. That counts as no refusal; for who may find memory elsewhere.
  [[nodiscard]] bool TryChargeFree(size_t bytes) noexcept;

  // The same of what is free, or idle (Reclaimer::kIdle): for caches, which would rather do with
  // what they have than have anybody release what he uses. Counts as no refusal.
  [[nodiscard]] bool TryChargeIdle(size_t bytes) noexcept;

  // As TryCharge, for who needs no charge any more once `found` says so, which is asked after each
  // reclaimer.
  enum class Result : uint8_t { kCharged, kFoundElsewhere, kRefused };
  [[nodiscard]] Result TryCharge(size_t bytes, const FoundElsewhere& found) noexcept;

  // As TryCharge, and waits for others to release memory, until `deadline`. kOutOfMemory with the
  // limit that was met and who holds the memory; kAborted.
  Expected<void> Charge(size_t bytes, Clock::time_point deadline);

  // What was charged, by whichever account of this node.
  void Release(size_t bytes) noexcept;

  // Of a node that is about to end, with one lock for all: releases what `accounts`, which are all
  // that it has and belong to the calling thread, were told to release at the end, gives their
  // credit back, and takes the node from its parent unless something is charged still.
  void EndAccounts(std::initializer_list<BudgetAccount*> accounts) noexcept;

  // Charges `bytes` for later.
  Expected<Reservation> Reserve(size_t bytes);

  // Why `bytes` more would be refused now, as a message that names the limit and the largest
  // holders under it.
  Error Refusal(size_t bytes) const;

  // Whether the calling thread's last refusal by a budget was by this node, or one above it when
  // this one was charged; and what it throws then: BudgetExceeded, which names the limit. Who
  // charges a node and then fails for another reason forgets what was before.
  bool has_refused() const noexcept;
  void ForgetRefusal() const noexcept;
  [[noreturn]] void ThrowRefusal(size_t bytes) const;

  // --- Control --------------------------------------------------------------------------------

  // Refuses every charge here and below from now on, with `reason`; who waits there fails now. For
  // good: the scope is to end. Releases go on.
  void Abort(Error reason);
  // A load for each node above; no lock.
  bool is_aborted() const noexcept {
    const MemoryBudget* at = this;
    while (at != nullptr && at->aborted_.load(std::memory_order_acquire) == nullptr) {
      at = at->parent_;
    }
    return at != nullptr;
  }

  // Adds who may be asked when this node or one above it lacks memory, lower priorities first, and
  // among equals the one whose node has most.
  void AddReclaimer(Reclaimer& reclaimer, int priority = 0,
                    Reclaimer::Serves serves = Reclaimer::Serves::kOthers) noexcept;
  // Returns when it is not at work, unless it is the one that calls.
  void RemoveReclaimer(Reclaimer& reclaimer) noexcept;

  // New limits. A hard limit below what is taken refuses until enough was released.
  void SetLimits(size_t hard_limit_bytes, size_t soft_limit_bytes) noexcept;

  // --- Questions ------------------------------------------------------------------------------

  const char* name() const noexcept { return name_; }
  uint64_t number() const noexcept { return number_; }
  MemoryBudget* parent() const noexcept { return parent_; }

  BudgetStats Stats() const noexcept;

  // This node and all below it to which anything was ever charged or that had reclaimers, parents
  // before children, those in the order of their first charges: a snapshot of one moment. Throws
  // std::bad_alloc.
  std::vector<BudgetStats> Snapshot() const;
  // Calls `visit(const BudgetStats&)` for each of the snapshot.
  template <class Visitor>
  void Visit(const Visitor& visit) const {
    for (const BudgetStats& stats : Snapshot()) visit(stats);
  }

  // "process/query 17/sort"
  std::string Path() const;

 private:
  friend class BudgetAccount;
  friend class BudgetTree;
  friend class Reservation;

  void End() noexcept;

  BudgetTree* tree_;
  MemoryBudget* const parent_;
  const char* const name_;
  const uint64_t number_;

  // The rest is the tree's, under its lock.
  size_t hard_limit_;
  size_t soft_limit_;
  size_t taken_ = 0;
  // Of these, what is charged to the parent too.
  size_t passed_up_ = 0;
  size_t peak_ = 0;
  size_t escaped_ = 0;
  // Reclaimers are asked when more than this is taken.
  size_t soft_next_;
  uint64_t refusals_ = 0;
  uint64_t waits_ = 0;
  uint64_t timeouts_ = 0;
  uint64_t reclaimed_ = 0;
  bool is_linked_ = false;
  // Anything has happened that its end has to undo. The owner reads it then, without the lock.
  bool end_is_slow_ = false;
  // Set once, with the lock; owned. Release, with the acquire of who looks without it.
  std::atomic<Error*> aborted_ = nullptr;
  boost::intrusive::list<MemoryBudget, boost::intrusive::constant_time_size<false>> children_;
  boost::intrusive::list<Reclaimer, boost::intrusive::constant_time_size<false>> reclaimers_;
  // Those that have prepaid once.
  boost::intrusive::list<BudgetAccount, boost::intrusive::constant_time_size<false>> accounts_;
};

// --- Implementation -----------------------------------------------------------------------------

// The end of one to which nothing was charged is a test.
inline MemoryBudget::MemoryBudget(MemoryBudget& parent, const MemoryBudgetOptions& options) noexcept
    : tree_(parent.tree_),
      parent_(&parent),
      name_(options.name),
      number_(options.number),
      hard_limit_(options.hard_limit_bytes),
      soft_limit_(options.soft_limit_bytes),
      soft_next_(options.soft_limit_bytes) {}

}  // namespace granary

#endif  // GRANARY_MEMORY_MEMORY_BUDGET_H_
