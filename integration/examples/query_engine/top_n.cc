#include "integration/examples/query_engine/top_n.h"

#include <algorithm>
#include <new>

namespace granary::query_engine {

namespace {

bool StoredComesBefore(const StoredRow& a, const StoredRow& b) noexcept {
  return ComesBefore(a.view(), b.view());
}

}  // namespace

TopN::TopN(QueryContext& context, size_t count, Operator& next)
    : context_(context),
      count_(count),
      next_(next),
      workspace_(context.memory.NewWorkspace("top-n", 1)),
      heap_(*workspace_) {}

Expected<void> TopN::Add(std::span<const Row> rows) {
  if (auto going_on = context_.memory.Check(); !going_on) return going_on;
  try {
    for (const Row& row : rows) {
      if (heap_->size() < count_) {
        heap_->emplace_back(row);
      } else if (count_ != 0 && ComesBefore(row, heap_->front().view())) {
        std::pop_heap(heap_->begin(), heap_->end(), StoredComesBefore);
        // In place: the text has room already, most of the time.
        StoredRow& last = heap_->back();
        last.key = row.key;
        last.other = row.other;
        last.amount = row.amount;
        last.count = row.count;
        last.text = row.text;
      } else {
        continue;
      }
      std::push_heap(heap_->begin(), heap_->end(), StoredComesBefore);
    }
  } catch (const std::bad_alloc& refusal) {
    return tl::unexpected(workspace_->Explain(refusal));
  }
  return {};
}

Expected<void> TopN::Finish() {
  std::sort_heap(heap_->begin(), heap_->end(), StoredComesBefore);
  Batch batch(next_);
  for (const StoredRow& row : *heap_) {
    if (auto done = batch.Add(row.view()); !done) return done;
  }
  if (auto done = batch.Flush(); !done) return done;
  return next_.Finish();
}

}  // namespace granary::query_engine
