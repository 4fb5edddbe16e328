// SpillingOperator: what the operators have in common whose state can go to a file.
//
// They spill when they are refused memory, and when others are: those ask on their own threads, and
// get what they need at once if the operator is between two batches of rows, otherwise when it has
// come to the end of the one that it is at.
//
// While an operator passes rows on it does not spill for others, and has said so.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SPILLING_OPERATOR_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SPILLING_OPERATOR_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <utility>

#include "integration/examples/query_engine/operator.h"
#include "integration/examples/query_engine/query_memory.h"
#include "integration/examples/query_engine/spill_file.h"

namespace granary::query_engine {

// What the operators of a query have to know of it.
struct QueryContext {
  QueryMemory& memory;
  const SpillStorageFactory& spill_storage;
  // What each operator with a large state may have is one of so many equal parts, so that the first
  // leaves something for the last.
  size_t shares = 1;
  // Added to by operators that end.
  uint64_t spilled_bytes = 0;
};

class SpillingOperator : public Operator {
 protected:
  // `name` is a string literal.
  SpillingOperator(QueryContext& context, const char* name);
  ~SpillingOperator() override;

  // Calls `insert(row)` for each row. Where that throws std::bad_alloc, and has changed nothing,
  // the state is spilled and `insert` called once more.
  template <class Insert>
  Expected<void> InsertAll(std::span<const Row> rows, const Insert& insert) {
    const std::lock_guard lock(busy_);
    if (auto ready = BeginBatch(); !ready) return ready;
    for (const Row& row : rows) {
      if (auto done = InsertOne(row, insert); !done) return done;
    }
    return {};
  }

  template <class Insert>
  Expected<void> InsertOne(const Row& row, const Insert& insert) {
    try {
      insert(row);
      return {};
    } catch (const std::bad_alloc& refusal) {
      if (auto made = MakeRoom(refusal); !made) return made;
    }
    try {
      insert(row);
      return {};
    } catch (const std::bad_alloc& refusal) {
      return tl::unexpected(workspace_->Explain(refusal));
    }
  }

  // From now on nobody else spills; returns the error of one who did. Before the state is passed on
  // or destroyed.
  Expected<void> StopSharing();

  // Writes the state to the file and clears it. With nothing in it, nothing happens.
  virtual Expected<void> Spill() = 0;
  virtual size_t state_rows() const noexcept = 0;

  // Spreads keys over a file's lists, differently at each level.
  static size_t ListOf(int64_t key, size_t level) noexcept {
    return ((static_cast<uint64_t>(key) * 0x9e3779b97f4a7c15) >> (60 - 4 * level)) %
           SpillFile::kListsMax;
  }

  // Rows with too many of one key, or of one hash, are not divided for ever.
  Error TooDeep() const;

  QueryContext& context() noexcept { return context_; }
  Workspace& workspace() noexcept { return *workspace_; }
  SpillFile& file() noexcept { return file_; }

 private:
  // A state of fewer rows is not worth a file, nor the buffers of one.
  static constexpr size_t kRowsToSpillMin = 256;

  Expected<void> BeginBatch();
  Expected<void> MakeRoom(const std::bad_alloc& refusal);
  bool TakeBuffer() noexcept;
  size_t SpillForOthers() noexcept;
  // With busy_. Spills for others, and tells those who wait.
  size_t SpillAndTell() noexcept;

  QueryContext& context_;
  const std::unique_ptr<Workspace> workspace_;
  SpillFile file_;
  bool is_shared_ = false;
  // Whoever is at the state.
  std::mutex busy_;
  // Of a spill for others.
  std::optional<Error> failure_;
  // Others wait for the end of the batch.
  std::atomic<bool> is_asked_ = false;
  std::mutex asked_mutex_;
  std::condition_variable was_asked_;
  size_t freed_bytes_ = 0;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SPILLING_OPERATOR_H_
