#include "memory/memory_budget.h"

#include <algorithm>

#include "memory/budget_tree.h"
#include "memory/memory_resource.h"
#include "memory/misuse.h"

namespace granary {

namespace {

std::string NameOf(const char* name, uint64_t number) {
  std::string text = name;
  if (number != 0) text += " " + std::to_string(number);
  return text;
}

}  // namespace

// --- Accounts and reservations ------------------------------------------------------------------

[[gnu::noinline]] void BudgetAccount::Close() noexcept { budget_.tree_->Close(*this); }

bool BudgetAccount::ChargeSlow(size_t bytes) noexcept {
  return budget_.tree_->Charge({&budget_, below_, bytes}, this, nullptr) ==
         BudgetTree::Outcome::kCharged;
}

void BudgetAccount::ReleaseSlow(size_t bytes) noexcept {
  budget_.tree_->Release({&budget_, below_, bytes}, this);
}

bool BudgetAccount::BeginTransfer(BudgetAccount& to, size_t bytes) noexcept {
  return budget_.tree_->BeginTransfer({&budget_, below_, bytes}, to.budget_);
}

void BudgetAccount::EndTransfer(BudgetAccount& to, size_t bytes, bool done) noexcept {
  budget_.tree_->EndTransfer({&budget_, below_, bytes}, to.budget_, done);
}

Reservation::~Reservation() {
  if (bytes_ != 0) budget_->Release(bytes_);
}

void Reservation::Take(size_t bytes) noexcept {
  if (bytes > bytes_) {
    AbortOnMisuse("budget '%s': %zu bytes are taken from a reservation that has %zu",
                  budget_ != nullptr ? budget_->name() : "", bytes, bytes_);
  }
  bytes_ -= bytes;
}

// --- Nodes --------------------------------------------------------------------------------------

MemoryBudget::MemoryBudget(const MemoryBudgetOptions& options)
    : tree_(new BudgetTree),
      parent_(nullptr),
      name_(options.name),
      number_(options.number),
      hard_limit_(options.hard_limit_bytes),
      soft_limit_(options.soft_limit_bytes),
      soft_next_(options.soft_limit_bytes),
      end_is_slow_(true) {}

[[gnu::noinline]] void MemoryBudget::End() noexcept {
  tree_->Close(*this);
  if (parent_ == nullptr) delete tree_;
  delete aborted_.load(std::memory_order_relaxed);
}

Reclaimer::~Reclaimer() {
  if (budget_ == nullptr) return;
  AbortOnMisuse("budget '%s': a reclaimer ends that was not removed", budget_->name());
}

bool MemoryBudget::TryCharge(size_t bytes) noexcept {
  return tree_->Charge({this, nullptr, bytes}, nullptr, nullptr) == BudgetTree::Outcome::kCharged;
}

MemoryBudget::Result MemoryBudget::TryCharge(size_t bytes, const FoundElsewhere& found) noexcept {
  switch (tree_->Charge({this, nullptr, bytes, &found}, nullptr, nullptr)) {
    case BudgetTree::Outcome::kCharged:
      return Result::kCharged;
    case BudgetTree::Outcome::kFoundElsewhere:
      return Result::kFoundElsewhere;
    default:
      return Result::kRefused;
  }
}

bool MemoryBudget::TryChargeFree(size_t bytes) noexcept {
  return tree_->ChargeFree({this, nullptr, bytes});
}

bool MemoryBudget::TryChargeIdle(size_t bytes) noexcept {
  const BudgetTree::Request request = {this, nullptr, bytes, nullptr, Reclaimer::kIdle};
  return tree_->ChargeFree(request) ||
         tree_->Charge(request, nullptr, nullptr) == BudgetTree::Outcome::kCharged;
}

Expected<void> MemoryBudget::Charge(size_t bytes, Clock::time_point deadline) {
  const BudgetTree::Outcome outcome = tree_->Charge({this, nullptr, bytes}, nullptr, &deadline);
  if (outcome == BudgetTree::Outcome::kCharged) return {};
  Error error = Refusal(bytes);
  switch (outcome) {
    case BudgetTree::Outcome::kTimedOut:
      error.message += "; nobody released enough in time";
      break;
    case BudgetTree::Outcome::kNobodyElseHolds:
      error.message += "; nobody else has any of it to wait for";
      break;
    case BudgetTree::Outcome::kEverybodyWaits:
      error.message += "; all who have it wait for memory themselves";
      break;
    default:
      break;
  }
  return tl::unexpected(std::move(error));
}

void MemoryBudget::Release(size_t bytes) noexcept {
  tree_->Release({this, nullptr, bytes}, nullptr);
}

void MemoryBudget::EndAccounts(std::initializer_list<BudgetAccount*> accounts) noexcept {
  if (end_is_slow_) tree_->EndAccounts(*this, accounts);
}

Expected<Reservation> MemoryBudget::Reserve(size_t bytes) {
  if (TryCharge(bytes)) return Reservation(this, bytes);
  return tl::unexpected(Refusal(bytes));
}

Error MemoryBudget::Refusal(size_t bytes) const {
  if (is_aborted()) {
    // Set once, and kept as long as the node.
    Error error = *BudgetTree::AbortedAt(*this);
    error.code = ErrorCode::kAborted;
    return error;
  }
  // What was refused may have been more than what its asker was asked for: a block, or a page.
  const size_t taken =
      has_refused() ? std::max(bytes, BudgetTree::last_refusal().asked_bytes) : bytes;
  const BudgetTree::Holders holders =
      tree_->HoldersAgainst({const_cast<MemoryBudget*>(this), nullptr, taken});
  Error error{.code = ErrorCode::kOutOfMemory,
              .message = Path() + " asked for " + std::to_string(bytes) + " bytes",
              .where = "MemoryBudget"};
  if (taken != bytes) error.message += ", a block of " + std::to_string(taken);
  if (holders.limit == nullptr) {
    // The limit is at this node or above, and lives as long.
    const BudgetTree::LastRefusal last = BudgetTree::last_refusal();
    if (last.node == this) {
      error.message += ": " + last.limit->Path() + " had its limit of " +
                       std::to_string(last.limit_bytes) + " bytes taken, of which others have";
    } else {
      error.message += ", which others have";
    }
    error.message += " released enough meanwhile";
    return error;
  }
  error.message += ": " + holders.limit->Path() + " has " + std::to_string(holders.taken_bytes) +
                   " of " + std::to_string(holders.limit_bytes) + " bytes taken";
  for (size_t i = 0; i < holders.count; ++i) {
    const auto& holder = holders.largest[i];
    error.message += (i == 0 ? ", by " : ", ") + NameOf(holder.name, holder.number) + " " +
                     std::to_string(holder.bytes);
  }
  if (holders.count != 0 && holders.others_bytes != 0) {
    error.message += ", others " + std::to_string(holders.others_bytes);
  }
  for (size_t i = 0; i < holders.below_count; ++i) {
    const auto& holder = holders.below[i];
    error.message += (i == 0 ? "; in these " : ", ") + NameOf(holder.name, holder.number) +
                     " has " + std::to_string(holder.bytes);
  }
  return error;
}

bool MemoryBudget::has_refused() const noexcept { return BudgetTree::last_refusal().node == this; }

void MemoryBudget::ForgetRefusal() const noexcept {
  if (has_refused()) BudgetTree::last_refusal() = {};
}

void MemoryBudget::ThrowRefusal(size_t bytes) const {
  const BudgetTree::LastRefusal last = BudgetTree::last_refusal();
  // The limit is at this node or above, and lives as long.
  if (const Error* const aborted = BudgetTree::AbortedAt(*this)) {
    throw BudgetExceeded(Path(), bytes, 0, aborted->message);
  }
  if (last.node == this) throw BudgetExceeded(last.limit->Path(), bytes, last.limit_bytes);
  throw BudgetExceeded(Path(), bytes, Stats().hard_limit_bytes);
}

// --- Control ------------------------------------------------------------------------------------

void MemoryBudget::Abort(Error reason) {
  tree_->Abort(*this, std::make_unique<Error>(std::move(reason)));
}

void MemoryBudget::AddReclaimer(Reclaimer& reclaimer, int priority,
                                Reclaimer::Serves serves) noexcept {
  tree_->Add(*this, reclaimer, priority, serves);
}

void MemoryBudget::RemoveReclaimer(Reclaimer& reclaimer) noexcept { tree_->Remove(reclaimer); }

void MemoryBudget::SetLimits(size_t hard_limit_bytes, size_t soft_limit_bytes) noexcept {
  tree_->SetLimits(*this, hard_limit_bytes, soft_limit_bytes);
}

// --- Questions ----------------------------------------------------------------------------------

BudgetStats MemoryBudget::Stats() const noexcept { return tree_->Stats(*this); }

std::vector<BudgetStats> MemoryBudget::Snapshot() const {
  std::vector<BudgetStats> rows(16);
  // Others may open scopes meanwhile.
  for (size_t count; (count = tree_->Snapshot(*this, rows.data(), rows.size())) != rows.size();) {
    const bool fits = count < rows.size();
    rows.resize(fits ? count : count + count / 8);
    if (fits) break;
  }
  return rows;
}

std::string MemoryBudget::Path() const {
  std::string path = NameOf(name_, number_);
  if (parent_ != nullptr) path.insert(0, parent_->Path() + "/");
  return path;
}

}  // namespace granary
