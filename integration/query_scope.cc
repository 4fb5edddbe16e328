#include "integration/query_scope.h"

#include <memory>
#include <new>
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

MemoryScope::MemoryScope(EngineMemory& engine, MemoryBudget& parent,
                         const ScopeOptions& options) noexcept
    : engine_(engine),
      budget_(
          parent,
          {.name = options.name, .number = options.id, .hard_limit_bytes = options.limit_bytes}),
      blocks_(budget_, engine.budget(), engine.pages(), RoutedResource::Blocks::kPages),
      resource_(budget_, engine.budget(), engine.pages(), RoutedResource::Blocks::kAnySize),
      arena_(ArenaOptions{.upstream = &blocks_, .name = options.name}) {}

MemoryScope::~MemoryScope() {
  arena_.Reset(Retention::Release());
  const size_t left = blocks_.Stats().asked_bytes + resource_.Stats().asked_bytes;
  if (left != 0) [[unlikely]]
    engine_.CountEscape(budget_, left);
}

Expected<void> MemoryScope::Promote(MemoryScope& to) {
  // What it has retained stays behind, and is of no use there.
  (void)arena_.Trim();
  const size_t bytes = blocks_.Stats().asked_bytes;
  if (to.blocks_.Adopt(blocks_, [&] { return to.arena_.Absorb(std::move(arena_)); })) return {};
  return tl::unexpected(to.budget_.Refusal(bytes));
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

EmergencyBlock::~EmergencyBlock() {
  if (is_made_) std::destroy_at(&arena());
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
