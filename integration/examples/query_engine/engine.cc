#include "integration/examples/query_engine/engine.h"

#include <chrono>
#include <utility>

#include "integration/examples/query_engine/plan.h"
#include "integration/examples/query_engine/scope_memory.h"

namespace granary::query_engine {

namespace {

// The same rows in an arena, without anything that would know of it.
Expected<std::span<const Row>> Keep(std::span<const StoredRow> rows, MemoryScope& scope) {
  Row* const kept = scope.arena().TryCreateArray<Row>(rows.size());
  if (kept == nullptr) return tl::unexpected(scope.Refusal(rows.size_bytes()));
  for (size_t i = 0; i < rows.size(); ++i) {
    kept[i] = rows[i].view();
    const char* const text = scope.arena().TryCopy(kept[i].text);
    if (text == nullptr) return tl::unexpected(scope.Refusal(kept[i].text.size()));
    kept[i].text = {text, kept[i].text.size()};
  }
  return std::span<const Row>(kept, rows.size());
}

}  // namespace

Outcome Engine::Run(const QueryRequest& request) {
  Outcome outcome;
  const auto begin = std::chrono::steady_clock::now();
  QueryScope scope(memory_, {.id = request.id, .limit_bytes = request.limit_bytes});
  const Running running(*this, request.id, scope);
  if (auto rows = RunIn(scope, request, &outcome); rows) {
    outcome.scope = std::make_unique<ResultScope>(memory_);
    if (auto promoted = scope.Promote(*outcome.scope); promoted) {
      outcome.rows = *rows;
    } else {
      outcome.scope.reset();
      outcome.error = std::move(promoted.error());
    }
  } else {
    outcome.error = std::move(rows.error());
  }
  outcome.peak_bytes = scope.budget().Stats().peak_bytes;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  outcome.seconds = elapsed.count();
  return outcome;
}

Expected<std::span<const Row>> Engine::RunIn(QueryScope& scope, const QueryRequest& request,
                                             Outcome* outcome) {
  ScopeMemory memory(scope, request.limit_bytes);
  QueryContext context{memory, spill_storage_};
  Result result(memory);
  auto done = RunText(request.text, tables_, context, result);
  outcome->spilled_bytes = context.spilled_bytes;
  if (!done) return tl::unexpected(std::move(done.error()));
  outcome->digest = result.digest();
  return Keep(result.rows(), scope);
}

Engine::Running::Running(Engine& engine, uint64_t id, QueryScope& scope)
    : engine_(engine), id_(id) {
  if (id_ == 0) return;
  const std::lock_guard lock(engine_.mutex_);
  engine_.running_.emplace(id_, &scope);
}

Engine::Running::~Running() {
  if (id_ == 0) return;
  const std::lock_guard lock(engine_.mutex_);
  engine_.running_.erase(id_);
}

bool Engine::Cancel(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(id);
  if (found == running_.end()) return false;
  found->second->Abort({.code = ErrorCode::kAborted,
                        .message = "query " + std::to_string(id) + " was cancelled",
                        .where = "Engine::Cancel"});
  return true;
}

}  // namespace granary::query_engine
