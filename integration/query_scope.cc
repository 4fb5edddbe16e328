#include "integration/query_scope.h"

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace granary {

namespace {

// Has no memory.
class Nothing final : public MemoryResource {
 public:
  Nothing() noexcept : MemoryResource(Deallocation::kNoop, MallocResource::kMaxAlignment) {}
  [[nodiscard]] void* TryAllocate(size_t, size_t) noexcept override { return nullptr; }
  MemoryStats Stats() const noexcept override { return {}; }

 private:
  void do_deallocate(void*, size_t, size_t) override {}
};

Nothing& NothingElse() noexcept {
  static Nothing nothing;
  return nothing;
}

}  // namespace

MemoryScope::ArenaOnBlocks::ArenaOnBlocks(EngineMemory& engine, MemoryBudget& budget) noexcept
    : blocks(budget, engine.budget(), engine.pages(), engine.large(),
             RoutedResource::Blocks::kPages),
      arena(ArenaOptions{.upstream = &blocks, .name = budget.name()}) {}

MemoryScope::SharedOnBlocks::SharedOnBlocks(EngineMemory& engine, MemoryBudget& budget) noexcept
    : blocks(budget, engine.budget(), engine.pages(), engine.large(),
             SharedRoutedResource::Blocks::kPages) {
  arena.emplace(ConcurrentArenaOptions{.upstream = &blocks, .name = budget.name()});
}

[[gnu::noinline]] void MemoryScope::MakeArena() noexcept {
  std::construct_at(&arena_, engine_, budget_);
  has_arena_ = true;
}

[[gnu::noinline]] void MemoryScope::MakeResource() noexcept {
  std::construct_at(&resource_, budget_, engine_.budget(), engine_.pages(), engine_.large(),
                    RoutedResource::Blocks::kAnySize);
  has_resource_ = true;
}

// Several threads may come at once; whose arena is not the first's ends unused.
[[gnu::noinline]] ConcurrentArena* MemoryScope::MakeShared() noexcept {
  std::unique_ptr<SharedOnBlocks> made(new (std::nothrow) SharedOnBlocks(engine_, budget_));
  if (made == nullptr) return nullptr;
  SharedOnBlocks* first = nullptr;
  if (shared_.compare_exchange_strong(first, made.get(), std::memory_order_acq_rel)) {
    first = made.release();
  }
  return &*first->arena;
}

size_t MemoryScope::EndShared() noexcept {
  SharedOnBlocks* const shared = shared_.load(std::memory_order_relaxed);
  // Its cleanups may still use it.
  shared->arena->Reset(Retention::Release());
  shared_.store(nullptr, std::memory_order_relaxed);
  shared->arena.reset();
  const size_t left = shared->blocks.Stats().asked_bytes;
  delete shared;
  return left;
}

[[gnu::noinline]] void MemoryScope::End() noexcept {
  size_t left = 0;
  // The cleanups of each arena may use the other.
  do {
    if (shared_.load(std::memory_order_relaxed) != nullptr) left += EndShared();
    // What was never charged holds nothing, no cleanups either.
    if (has_arena_ && arena_.blocks.Stats().asked_bytes != 0) {
      arena_.blocks.BeginEnd();
      arena_.arena.Reset(Retention::Release());
    }
  } while (shared_.load(std::memory_order_relaxed) != nullptr);
  if (has_arena_) left += arena_.blocks.Stats().asked_bytes;
  if (has_resource_) left += resource_.Stats().asked_bytes;
  if (has_arena_ && has_resource_) {
    budget_.EndAccounts({&arena_.blocks.own_account(), &arena_.blocks.heap_account(),
                         &resource_.own_account(), &resource_.heap_account()});
  } else if (has_arena_) {
    budget_.EndAccounts({&arena_.blocks.own_account(), &arena_.blocks.heap_account()});
  } else if (has_resource_) {
    budget_.EndAccounts({&resource_.own_account(), &resource_.heap_account()});
  }
  if (has_arena_) std::destroy_at(&arena_);
  if (has_resource_) std::destroy_at(&resource_);
  if (left != 0) [[unlikely]]
    engine_.CountEscape(budget_, left);
}

// Pages and large blocks are refused by nodes of their own.
Error MemoryScope::Refusal(size_t bytes) const {
  const MemoryBudget* refused = engine_.pages().pool().budget();
  if (!refused->has_refused()) refused = &engine_.large().refused_budget();
  if (budget_.is_aborted() || !refused->has_refused()) return budget_.Refusal(bytes);
  Error error = refused->Refusal(std::min(bytes, engine_.pages().block_bytes()));
  error.message = budget_.Path() + " asked for " + std::to_string(bytes) + " bytes; " +
                  std::move(error.message);
  return error;
}

Expected<void> MemoryScope::Promote(MemoryScope& to) {
  if (&engine_ != &to.engine_) {
    return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                                .message = budget_.Path() + " and " + to.budget_.Path() +
                                           " are of two engines, whose memory is not the same",
                                .where = "MemoryScope::Promote"});
  }
  if (!has_arena_) return {};
  // What it has retained stays behind, and is of no use there.
  (void)arena_.arena.Trim();
  Arena& target = to.arena();
  const size_t bytes = arena_.blocks.Stats().asked_bytes;
  bool has_room = false;
  const auto absorb = [&] {
    has_room = true;
    return target.Absorb(std::move(arena_.arena));
  };
  if (to.arena_.blocks.Adopt(arena_.blocks, absorb)) return {};
  if (!has_room) return tl::unexpected(to.Refusal(bytes));
  return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                              .message = "the arena of " + to.budget_.Path() +
                                         " cannot take over that of " + budget_.Path(),
                              .where = "MemoryScope::Promote"});
}

// --- The emergency block ------------------------------------------------------------------------

Arena& EmergencyBlock::arena() noexcept {
  if (!is_made_) {
    new (arena_.data())
        Arena(bytes_, ArenaOptions{.upstream = &NothingElse(), .name = "emergency"});
    is_made_ = true;
  }
  return *std::launder(reinterpret_cast<Arena*>(arena_.data()));
}

// --- Spilling -----------------------------------------------------------------------------------

size_t OperatorScope::Spiller::Reclaim(size_t bytes, Clock::time_point) noexcept {
  return spill(bytes);
}

void OperatorScope::SpillWith(std::function<size_t(size_t bytes)> spill) {
  StopSpilling();
  spiller_ = std::make_unique<Spiller>();
  spiller_->spill = std::move(spill);
  budget().AddReclaimer(*spiller_);
}

void OperatorScope::StopSpilling() noexcept {
  if (spiller_ != nullptr) budget().RemoveReclaimer(*spiller_);
  spiller_.reset();
}

}  // namespace granary
