#include "memory/budget_tree.h"

#include <algorithm>
#include <utility>

#include "memory/owner_gate.h"

namespace granary {

namespace {

// How long a request waits for a reclaimer that is at work for somebody else.
constexpr std::chrono::milliseconds kPatience{100};

// Prepaid bytes come and go by whole system pages: less is not worth a round.
constexpr size_t kPrepaidUnit = 4096;

// Calls `action(node)` for `node` and all that something was charged to below it, parents first.
template <class Action>
void ForSubtree(MemoryBudget& node, auto&& children_of, const Action& action) noexcept {
  action(node);
  for (MemoryBudget& child : children_of(node)) ForSubtree(child, children_of, action);
}

}  // namespace

constinit thread_local BudgetTree::Call* BudgetTree::call_ = nullptr;
constinit thread_local BudgetTree::LastRefusal BudgetTree::last_refusal_ = {};

// --- The lock -----------------------------------------------------------------------------------

// Whoever has it is done after some tens of instructions: to be put to sleep for that, and woken,
// takes a hundred times as long.
BudgetTree::Lock BudgetTree::Acquire() noexcept {
  constexpr int kTries = 64;
  Lock lock(mutex_, std::defer_lock);
  for (int i = 0; i < kTries; ++i) {
    if (lock.try_lock()) return lock;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  lock.lock();
  return lock;
}

// --- The walk up --------------------------------------------------------------------------------

MemoryBudget* BudgetTree::FindFull(const Request& request) noexcept {
  for (MemoryBudget* node = request.node; node != request.below; node = node->parent_) {
    // A limit may have been lowered below what is taken.
    if (node->taken_ > node->hard_limit_ || request.bytes > node->hard_limit_ - node->taken_) {
      return node;
    }
  }
  return nullptr;
}

void BudgetTree::Take(const Request& request) noexcept {
  for (MemoryBudget* node = request.node; node != request.below; node = node->parent_) {
    node->taken_ += request.bytes;
    node->peak_ = std::max(node->peak_, node->taken_);
    if (node->parent_ == nullptr) break;
    if (node->parent_ != request.below) node->passed_up_ += request.bytes;
    Link(*node);
  }
}

void BudgetTree::Link(MemoryBudget& node) noexcept {
  if (node.is_linked_ || node.parent_ == nullptr) return;
  node.is_linked_ = node.end_is_slow_ = true;
  node.parent_->children_.push_back(node);
}

void BudgetTree::PutBack(const Request& request) noexcept {
  for (MemoryBudget* node = request.node; node != request.below; node = node->parent_) {
    node->taken_ -= request.bytes;
    if (node->parent_ != request.below) node->passed_up_ -= request.bytes;
  }
}

const MemoryBudget* BudgetTree::FindAborted(const MemoryBudget& node) noexcept {
  const MemoryBudget* at = &node;
  while (at != nullptr && at->aborted_.load(std::memory_order_acquire) == nullptr) at = at->parent_;
  return at;
}

const Error* BudgetTree::AbortedAt(const MemoryBudget& node) noexcept {
  const MemoryBudget* const aborted = FindAborted(node);
  return aborted != nullptr ? aborted->aborted_.load(std::memory_order_acquire) : nullptr;
}

// --- Accounts -----------------------------------------------------------------------------------

void BudgetTree::Settle(BudgetAccount& account) noexcept {
  if (!account.is_started_) return;
  account.Stop();
  PutBack({&account.budget_, account.below_, account.TakeCredit()});
}

void BudgetTree::Prepay(BudgetAccount& account) noexcept {
  static const bool can_be_stopped = ProcessFence::Available();
  // With someone waiting, whatever is released has to come by the lock.
  if (!can_be_stopped || !waiters_.empty()) return;
  size_t room = SIZE_MAX;
  for (MemoryBudget* node = &account.budget_; node != account.below_; node = node->parent_) {
    room = std::min(room, node->hard_limit_ - std::min(node->hard_limit_, node->taken_));
  }
  // An eighth: so many accounts can prepay and leave something, and what is left is soon exact.
  const size_t credit = std::min<size_t>(account.quantum_, room / 8) & ~(kPrepaidUnit - 1);
  if (credit == 0) return;
  Take({&account.budget_, account.below_, credit});
  if (!account.is_listed_) account.budget_.accounts_.push_back(account);
  account.is_listed_ = true;
  if (credit == account.quantum_) {
    account.quantum_ = std::min(2 * account.quantum_, BudgetAccount::kQuantumMax);
  }
  account.Start(credit);
}

void BudgetTree::Harvest(MemoryBudget& node) noexcept {
  const auto children = [](MemoryBudget & at) -> auto& { return at.children_; };
  bool any = false;
  ForSubtree(node, children, [&](MemoryBudget& at) {
    for (BudgetAccount& account : at.accounts_) {
      if (!account.is_started_) continue;
      account.Stop();
      any = true;
    }
  });
  if (!any) return;
  ProcessFence::Heavy();
  ForSubtree(node, children, [&](MemoryBudget& at) {
    for (BudgetAccount& account : at.accounts_) {
      Settle(account);
      account.quantum_ = BudgetAccount::kQuantumMin;
    }
  });
}

// --- Charging -----------------------------------------------------------------------------------

MemoryBudget* BudgetTree::FindFullHarvested(const Request& request) noexcept {
  MemoryBudget* const full = FindFull(request);
  if (full == nullptr) return nullptr;
  Harvest(*full);
  ServeWaiters();
  return FindFull(request);
}

BudgetTree::Outcome BudgetTree::Charge(const Request& request, BudgetAccount* account,
                                       const Clock::time_point* deadline) noexcept {
  Lock lock = Acquire();
  ++rounds_;
  if (account != nullptr) Settle(*account);
  const bool leaves_trace = request.priority_max == INT32_MAX;
  if (const MemoryBudget* const aborted = FindAborted(*request.node)) {
    if (leaves_trace) last_refusal_ = {request.node, aborted, aborted->hard_limit_, request.bytes};
    return Outcome::kAborted;
  }
  MemoryBudget* const full = FindFullHarvested(request);
  Outcome outcome = Outcome::kCharged;
  if (full == nullptr) {
    Take(request);
  } else if (request.bytes > full->hard_limit_ || call_ != nullptr) {
    outcome = Outcome::kRefused;
  } else {
    const Clock::time_point now = Clock::now();
    const Clock::time_point until = deadline != nullptr ? *deadline : now + kPatience;
    outcome = Reclaim(lock, request, until);
    if (outcome == Outcome::kCharged) {
      Take(request);
    } else if (outcome == Outcome::kRefused && deadline != nullptr) {
      outcome = Wait(lock, request, until);
    }
  }
  if (outcome == Outcome::kCharged) {
    if (account != nullptr) Prepay(*account);
    AskForSoftLimits(lock, request);
  } else if (outcome != Outcome::kFoundElsewhere && full != nullptr && leaves_trace) {
    last_refusal_ = {request.node, full, full->hard_limit_, request.bytes};
    ++full->refusals_;
    full->timeouts_ += outcome == Outcome::kTimedOut;
  }
  return outcome;
}

bool BudgetTree::ChargeFree(const Request& request) noexcept {
  Lock lock = Acquire();
  ++rounds_;
  if (FindAborted(*request.node) != nullptr || FindFullHarvested(request) != nullptr) return false;
  for (const MemoryBudget* node = request.node; node != request.below; node = node->parent_) {
    if (node->taken_ + request.bytes > node->soft_next_) return false;
  }
  Take(request);
  // There is nobody to ask; what is below a soft limit again is remembered.
  AskForSoftLimits(lock, request);
  return true;
}

const MemoryBudget* BudgetTree::CommonOf(const MemoryBudget& a, const MemoryBudget& b) noexcept {
  for (const MemoryBudget* common = &a;; common = common->parent_) {
    for (const MemoryBudget* at = &b; at != nullptr; at = at->parent_) {
      if (at == common) return common;
    }
  }
}

// Above where the two ways meet, the same is charged before and after.
bool BudgetTree::BeginTransfer(const Request& from, MemoryBudget& to) noexcept {
  const Request request{&to, CommonOf(*from.node, to), from.bytes};
  return Charge(request, nullptr, nullptr) == Outcome::kCharged;
}

void BudgetTree::EndTransfer(const Request& from, MemoryBudget& to, bool done) noexcept {
  const MemoryBudget* const common = CommonOf(*from.node, to);
  // The child of `common` through which a way goes, nullptr for one that begins there.
  const auto through = [&](MemoryBudget* node) {
    while (node != common && node->parent_ != common) node = node->parent_;
    return node != common ? node : nullptr;
  };
  const Lock lock = Acquire();
  ++rounds_;
  PutBack({done ? from.node : &to, common, from.bytes});
  // What is charged above is the other one's now.
  if (done && common != from.below) {
    if (MemoryBudget* const child = through(from.node)) child->passed_up_ -= from.bytes;
    if (MemoryBudget* const child = through(&to)) child->passed_up_ += from.bytes;
  }
  ServeWaiters();
}

void BudgetTree::Release(const Request& request, BudgetAccount* account) noexcept {
  const Lock lock = Acquire();
  ++rounds_;
  if (account != nullptr) Settle(*account);
  PutBack(request);
  ServeWaiters();
  if (account != nullptr && AbortedAt(*request.node) == nullptr) Prepay(*account);
}

void BudgetTree::Close(BudgetAccount& account) noexcept {
  const Lock lock = Acquire();
  Settle(account);
  account.budget_.accounts_.erase(account.budget_.accounts_.iterator_to(account));
  ServeWaiters();
}

void BudgetTree::EndAccounts(MemoryBudget& node,
                             std::initializer_list<BudgetAccount*> accounts) noexcept {
  const Lock lock = Acquire();
  ++rounds_;
  for (BudgetAccount* const account : accounts) {
    Settle(*account);
    PutBack({&node, account->below_, std::exchange(account->released_at_end_, 0)});
    if (account->is_listed_) node.accounts_.erase(node.accounts_.iterator_to(*account));
    account->is_listed_ = false;
  }
  // Then there is nothing left for its end to do.
  if (node.taken_ == 0 && node.parent_ != nullptr && node.is_linked_ && node.accounts_.empty() &&
      node.reclaimers_.empty() && node.children_.empty() &&
      node.aborted_.load(std::memory_order_relaxed) == nullptr) {
    Unlink(node);
    node.end_is_slow_ = false;
  }
  ServeWaiters();
}

void BudgetTree::Unlink(MemoryBudget& node) noexcept {
  MemoryBudget& parent = *node.parent_;
  parent.children_.erase(parent.children_.iterator_to(node));
  node.is_linked_ = false;
}

void BudgetTree::Close(MemoryBudget& node) noexcept {
  Lock lock = Acquire();
  while (!node.reclaimers_.empty()) Remove(lock, node.reclaimers_.front());
  if (node.parent_ == nullptr || !node.is_linked_) return;
  node.parent_->escaped_ += node.passed_up_;
  Unlink(node);
  ServeWaiters();
}

void BudgetTree::Abort(MemoryBudget& node, std::unique_ptr<Error> reason) noexcept {
  const Lock lock(mutex_);
  node.end_is_slow_ = true;
  // The first reason stays; the other is freed behind the lock, with its owner.
  if (node.aborted_.load(std::memory_order_relaxed) == nullptr) {
    node.aborted_.store(reason.release(), std::memory_order_release);
  }
  Harvest(node);
  for (Waiter& waiter : waiters_) {
    if (waiter.is_over || AbortedAt(*waiter.request.node) == nullptr) continue;
    waiter.is_over = true;
    waiter.outcome = Outcome::kAborted;
    waiter.wake.notify_one();
  }
  ServeWaiters();
}

void BudgetTree::SetLimits(MemoryBudget& node, size_t hard_limit, size_t soft_limit) noexcept {
  const Lock lock(mutex_);
  // What is prepaid counts against the new limit no longer than it has to.
  if (hard_limit < node.hard_limit_) Harvest(node);
  node.hard_limit_ = hard_limit;
  node.soft_limit_ = node.soft_next_ = soft_limit;
  ServeWaiters();
}

// --- Waiting ------------------------------------------------------------------------------------

// Whoever fits, in the order of arrival; and those fail for whom there is nobody left to wait.
void BudgetTree::ServeWaiters() noexcept {
  for (Waiter& waiter : waiters_) {
    if (waiter.is_over) continue;
    MemoryBudget* const full = FindFull(waiter.request);
    if (full == nullptr) {
      Take(waiter.request);
      waiter.outcome = Outcome::kCharged;
    } else {
      const Outcome who = WhoCouldRelease(*full, waiter.request);
      // That all wait is found by the last who comes: it alone fails.
      if (who != Outcome::kNobodyElseHolds) continue;
      waiter.outcome = who;
    }
    waiter.is_over = true;
    waiter.wake.notify_one();
  }
}

BudgetTree::Outcome BudgetTree::Wait(Lock& lock, const Request& request,
                                     Clock::time_point deadline) noexcept {
  MemoryBudget* full = FindFull(request);
  if (full == nullptr) {
    Take(request);
    return Outcome::kCharged;
  }
  const Outcome who = WhoCouldRelease(*full, request);
  if (who != Outcome::kRefused) return who;
  Waiter waiter;
  waiter.request = request;
  waiters_.push_back(waiter);
  ++full->waits_;
  // From now on every release comes by the lock.
  MemoryBudget* root = request.node;
  while (root->parent_ != nullptr) root = root->parent_;
  Harvest(*root);
  ServeWaiters();
  while (!waiter.is_over) {
    if (waiter.wake.wait_until(lock, deadline) == std::cv_status::timeout) break;
  }
  waiters_.erase(waiters_.iterator_to(waiter));
  return waiter.outcome;
}

BudgetTree::Outcome BudgetTree::WhoCouldRelease(const MemoryBudget& full,
                                                const Request& request) const noexcept {
  // The requester's own scope: the child of `full` that it is in.
  const MemoryBudget* own = request.node;
  while (own != &full && own->parent_ != &full) own = own->parent_;
  size_t children_bytes = 0;
  bool others_hold = false;
  bool others_go_on = false;
  for (const MemoryBudget& child : full.children_) {
    children_bytes += child.passed_up_;
    if (&child == own || child.passed_up_ == 0) continue;
    others_hold = true;
    others_go_on |= !IsWaitedForBelow(child);
  }
  // What is charged to `full` itself is the requester's only if that is where it asks.
  if (own != &full && full.taken_ > children_bytes) others_hold = others_go_on = true;
  if (!others_hold) return Outcome::kNobodyElseHolds;
  return others_go_on ? Outcome::kRefused : Outcome::kEverybodyWaits;
}

bool BudgetTree::IsWaitedForBelow(const MemoryBudget& node) const noexcept {
  return std::any_of(waiters_.begin(), waiters_.end(), [&](const Waiter& waiter) {
    if (waiter.is_over) return false;
    const MemoryBudget* at = waiter.request.node;
    while (at != nullptr && at != &node) at = at->parent_;
    return at == &node;
  });
}

// --- Reclaiming ---------------------------------------------------------------------------------

bool BudgetTree::Asked::Has(const Reclaimer& reclaimer) const noexcept {
  return std::any_of(list.begin(), list.begin() + static_cast<ptrdiff_t>(count),
                     [&](const Who& who) { return who.reclaimer == &reclaimer; });
}

void BudgetTree::Asked::Add(const Reclaimer& reclaimer) noexcept {
  list[count++] = {&reclaimer, reclaimer.priority_};
}

void BudgetTree::Asked::ForgetBefore(int priority) noexcept {
  const auto end = std::remove_if(list.begin(), list.begin() + static_cast<ptrdiff_t>(count),
                                  [&](const Who& who) { return who.priority < priority; });
  count = static_cast<size_t>(end - list.begin());
}

Reclaimer* BudgetTree::NextReclaimer(MemoryBudget& full, const Request& request, const Asked& asked,
                                     bool* others_are_busy) noexcept {
  Reclaimer* next = nullptr;
  *others_are_busy = false;
  const auto is_above_request = [&](const MemoryBudget& node) {
    const MemoryBudget* at = request.node;
    while (at != nullptr && at != &node) at = at->parent_;
    return at == &node;
  };
  ForSubtree(
      full, [](MemoryBudget & at) -> auto& { return at.children_; },
      [&](MemoryBudget& at) {
        for (Reclaimer& reclaimer : at.reclaimers_) {
          if (asked.Has(reclaimer) || reclaimer.priority_ > request.priority_max) continue;
          if (reclaimer.serves_ == Reclaimer::Serves::kOthers && is_above_request(at)) {
            continue;
          }
          if (reclaimer.is_busy_) {
            *others_are_busy = true;
            continue;
          }
          if (next == nullptr || reclaimer.priority_ < next->priority_ ||
              (reclaimer.priority_ == next->priority_ && at.taken_ > next->budget_->taken_)) {
            next = &reclaimer;
          }
        }
      });
  return next;
}

// What one has released may be in the hands of another, who gave it away at once when asked before:
// pages that are free in a pool, after an operator spilled. So those before it are asked again;
// each that gives something costs one more round of them.
BudgetTree::Outcome BudgetTree::Reclaim(Lock& lock, const Request& request,
                                        Clock::time_point deadline) noexcept {
  Asked asked;
  while (MemoryBudget* const full = FindFull(request)) {
    if (AbortedAt(*request.node) != nullptr) return Outcome::kAborted;
    if (Clock::now() >= deadline) return Outcome::kRefused;
    bool others_are_busy = false;
    Reclaimer* const next = asked.count < Asked::kMax
                                ? NextReclaimer(*full, request, asked, &others_are_busy)
                                : nullptr;
    if (next != nullptr) {
      const int priority = next->priority_;
      asked.Add(*next);
      const size_t room = full->hard_limit_ - std::min(full->hard_limit_, full->taken_);
      const size_t missing = request.bytes - room;
      if (CallReclaimer(lock, *next, missing, deadline) != 0) asked.ForgetBefore(priority);
      if (request.found != nullptr && request.found->IsFound()) return Outcome::kFoundElsewhere;
      // What it released may be in the credit of an account.
      if (MemoryBudget* const still = FindFull(request)) Harvest(*still);
    } else if (others_are_busy) {
      ++full->waits_;
      reclaimed_.wait_until(lock, deadline);
    } else {
      return Outcome::kRefused;
    }
  }
  return Outcome::kCharged;
}

size_t BudgetTree::CallReclaimer(Lock& lock, Reclaimer& reclaimer, size_t bytes,
                                 Clock::time_point deadline) noexcept {
  Call call{&reclaimer, false, call_};
  reclaimer.is_busy_ = true;
  call_ = &call;
  lock.unlock();
  const size_t released = reclaimer.Reclaim(bytes, deadline);
  lock.lock();
  call_ = call.outer;
  if (!call.is_removed) {
    reclaimer.is_busy_ = false;
    reclaimer.budget_->reclaimed_ += released;
  }
  reclaimed_.notify_all();
  return released;
}

// A soft limit asks once, and again when as much more was taken as a reclaimer may need to find.
void BudgetTree::AskForSoftLimits(Lock& lock, const Request& request) noexcept {
  if (call_ != nullptr) return;
  for (MemoryBudget* node = request.node; node != request.below; node = node->parent_) {
    if (node->taken_ <= node->soft_limit_) node->soft_next_ = node->soft_limit_;
    if (node->taken_ <= node->soft_next_) continue;
    const size_t excess = node->taken_ - node->soft_limit_;
    node->soft_next_ = node->taken_ + BudgetAccount::kQuantumMax;
    Asked asked;
    bool others_are_busy = false;
    const Clock::time_point deadline = Clock::now() + kPatience;
    while (asked.count < Asked::kMax && node->taken_ > node->soft_limit_ &&
           Clock::now() < deadline) {
      Reclaimer* const next = NextReclaimer(*node, request, asked, &others_are_busy);
      if (next == nullptr) break;
      asked.Add(*next);
      CallReclaimer(lock, *next, excess, deadline);
    }
  }
}

void BudgetTree::Add(MemoryBudget& node, Reclaimer& reclaimer, int priority,
                     Reclaimer::Serves serves) noexcept {
  const Lock lock(mutex_);
  node.end_is_slow_ = true;
  // Whoever asks finds it from above.
  for (MemoryBudget* at = &node; at != nullptr; at = at->parent_) Link(*at);
  reclaimer.budget_ = &node;
  reclaimer.priority_ = priority;
  reclaimer.serves_ = serves;
  node.reclaimers_.push_back(reclaimer);
}

void BudgetTree::Remove(Reclaimer& reclaimer) noexcept {
  Lock lock(mutex_);
  if (reclaimer.budget_ != nullptr) Remove(lock, reclaimer);
}

void BudgetTree::Remove(Lock& lock, Reclaimer& reclaimer) noexcept {
  for (Call* call = call_; call != nullptr; call = call->outer) {
    if (call->reclaimer != &reclaimer) continue;
    call->is_removed = true;
    reclaimer.is_busy_ = false;
  }
  reclaimed_.wait(lock, [&] { return !reclaimer.is_busy_; });
  // It may have removed itself meanwhile.
  if (reclaimer.budget_ == nullptr) return;
  reclaimer.budget_->reclaimers_.erase(reclaimer.budget_->reclaimers_.iterator_to(reclaimer));
  reclaimer.budget_ = nullptr;
}

}  // namespace granary
