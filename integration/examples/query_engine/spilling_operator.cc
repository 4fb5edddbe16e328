#include "integration/examples/query_engine/spilling_operator.h"

#include <chrono>
#include <exception>

namespace granary::query_engine {

namespace {

// How long others wait for the end of a batch. It may be at a system call, or wait for them.
constexpr std::chrono::milliseconds kPatience{20};

}  // namespace

SpillingOperator::SpillingOperator(QueryContext& context, const char* name)
    : context_(context),
      workspace_(context.memory.NewWorkspace(name, context.shares)),
      file_(context.spill_storage) {}

SpillingOperator::~SpillingOperator() { context_.spilled_bytes += file_.written_bytes(); }

Expected<void> SpillingOperator::StopSharing() {
  if (is_shared_) workspace_->StopSpilling();
  is_shared_ = false;
  if (failure_) return tl::unexpected(*failure_);
  return {};
}

// Buffers are taken before memory is short, and before anybody is told that this operator can
// spill.
Expected<void> SpillingOperator::BeginBatch() {
  if (!is_shared_ && state_rows() >= kRowsToSpillMin && TakeBuffer()) {
    is_shared_ = true;
    workspace_->SpillWith([this](size_t) { return SpillForOthers(); });
  }
  if (is_asked_.load(std::memory_order_relaxed)) SpillAndTell();
  if (failure_) return tl::unexpected(*failure_);
  return context_.memory.Check();
}

Error SpillingOperator::TooDeep() const {
  return {.code = ErrorCode::kOutOfMemory,
          .message = "the rows of a partition do not fit into memory, however often it is divided",
          .where = "SpillingOperator"};
}

bool SpillingOperator::TakeBuffer() noexcept {
  if (!file_.has_buffer()) file_.SetBuffer(workspace_->TryTakeBuffer(SpillFile::kBufferBytes));
  return file_.has_buffer();
}

Expected<void> SpillingOperator::MakeRoom(const std::bad_alloc& refusal) {
  if (auto going_on = context_.memory.Check(); !going_on) return going_on;
  if (state_rows() == 0 || !TakeBuffer()) return tl::unexpected(workspace_->Explain(refusal));
  return Spill();
}

size_t SpillingOperator::SpillForOthers() noexcept {
  if (std::unique_lock at_state(busy_, std::try_to_lock); at_state) return SpillAndTell();
  std::unique_lock lock(asked_mutex_);
  is_asked_.store(true, std::memory_order_relaxed);
  was_asked_.wait_for(lock, kPatience,
                      [this] { return !is_asked_.load(std::memory_order_relaxed); });
  return std::exchange(freed_bytes_, 0);
}

size_t SpillingOperator::SpillAndTell() noexcept {
  const size_t before = workspace_->held_bytes();
  if (!failure_) {
    // On a thread that has nothing to do with this query: what goes wrong is this query's matter.
    try {
      if (auto done = Spill(); !done) failure_ = std::move(done.error());
    } catch (const std::exception& exception) {
      failure_ = Error{.code = ErrorCode::kOutOfMemory,
                       .message = exception.what(),
                       .where = "SpillingOperator"};
    }
  }
  const size_t after = workspace_->held_bytes();
  const std::lock_guard lock(asked_mutex_);
  freed_bytes_ = before - after;
  is_asked_.store(false, std::memory_order_relaxed);
  was_asked_.notify_all();
  return before - after;
}

}  // namespace granary::query_engine
