#include "integration/examples/query_engine/scope_memory.h"

#include <new>
#include <utility>

#include "memory/memory_resource.h"

namespace granary::query_engine {

namespace {

class ScopeWorkspace final : public Workspace {
 public:
  ScopeWorkspace(QueryScope& query, const char* name, size_t limit_bytes)
      : scope_(query, {.name = name, .limit_bytes = limit_bytes}) {}
  ~ScopeWorkspace() override {
    scope_.StopSpilling();
    if (buffer_ != nullptr) scope_.resource().deallocate(buffer_, buffer_bytes_);
  }

  std::pmr::memory_resource& memory() noexcept override { return scope_.arena(); }
  void Clear() noexcept override {
    // It may be another operator's thread that does it.
    scope_.arena().DisownThread();
    scope_.arena().Reset(Retention::Release());
    scope_.arena().DisownThread();
  }
  bool has_bulk_clear() const noexcept override { return true; }
  size_t held_bytes() const noexcept override { return scope_.arena().Stats().held_bytes; }

  std::byte* TryTakeBuffer(size_t bytes) noexcept override {
    buffer_bytes_ = bytes;
    buffer_ =
        static_cast<std::byte*>(scope_.resource().TryAllocate(bytes, alignof(std::max_align_t)));
    return buffer_;
  }

  void SpillWith(std::function<size_t(size_t)> spill) override {
    scope_.SpillWith(std::move(spill));
  }
  void StopSpilling() noexcept override { scope_.StopSpilling(); }

  // With who has the memory, which the exception does not say.
  Error Explain(const std::bad_alloc& refusal) const override {
    const auto* const exceeded = dynamic_cast<const BudgetExceeded*>(&refusal);
    if (exceeded != nullptr) return scope_.Refusal(exceeded->asked_bytes());
    return {.code = ErrorCode::kOutOfMemory, .message = refusal.what(), .where = "ScopeMemory"};
  }

 private:
  mutable OperatorScope scope_;
  std::byte* buffer_ = nullptr;
  size_t buffer_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Workspace> ScopeMemory::NewWorkspace(const char* name, size_t shares) {
  // The query has a limit already.
  return std::make_unique<ScopeWorkspace>(scope_, name,
                                          shares == 1 ? SIZE_MAX : limit_bytes_ / shares);
}

Expected<void> ScopeMemory::Check() const {
  if (!scope_.budget().is_aborted()) return {};
  return tl::unexpected(scope_.Refusal(0));
}

}  // namespace granary::query_engine
