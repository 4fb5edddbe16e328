#include "integration/examples/query_engine/sort.h"

#include <algorithm>

namespace granary::query_engine {

Sort::Sort(QueryContext& context, Operator& next)
    : SpillingOperator(context, "sort"), next_(next), rows_(workspace()) {}

Sort::~Sort() { (void)StopSharing(); }

Expected<void> Sort::Add(std::span<const Row> rows) {
  return InsertAll(rows, [this](const Row& row) { Insert(row); });
}

void Sort::Insert(const Row& row) {
  std::pmr::vector<Entry>& order = rows_->order;
  if (order.size() == order.capacity()) order.reserve(std::max<size_t>(64, 2 * order.size()));
  order.push_back({row.amount, &rows_->rows.emplace_front(row)});
}

void Sort::SortRows() {
  std::sort(rows_->order.begin(), rows_->order.end(), [](const Entry& a, const Entry& b) {
    return a.amount != b.amount ? a.amount > b.amount : ComesBefore(a.row->view(), b.row->view());
  });
}

Expected<void> Sort::Spill() {
  if (rows_->order.empty()) return {};
  SortRows();
  for (const Entry& entry : rows_->order) {
    if (auto done = file().AppendToRun(entry.row->view()); !done) return done;
  }
  rows_.Clear();
  const auto run = file().EndRun();
  if (!run) return tl::unexpected(run.error());
  runs_[run_count_++] = *run;
  return run_count_ == kRunsMax ? MergeToRun() : Expected<void>();
}

Expected<void> Sort::Finish() {
  if (auto mine = StopSharing(); !mine) return mine;
  Batch batch(next_);
  if (run_count_ == 0) {
    SortRows();
    for (const Entry& entry : rows_->order) {
      if (auto done = batch.Add(entry.row->view()); !done) return done;
    }
  } else {
    if (auto done = Spill(); !done) return done;
    while (run_count_ > SpillFile::kListsMax) {
      if (auto done = MergeToRun(); !done) return done;
    }
    auto done = Merge(
        run_count_, [&](const Row& row) { return batch.Add(row); }, [&] { return batch.Flush(); });
    if (!done) return done;
  }
  if (auto done = batch.Flush(); !done) return done;
  return next_.Finish();
}

Expected<void> Sort::MergeToRun() {
  auto done = Merge(
      SpillFile::kListsMax, [&](const Row& row) { return file().AppendToRun(row); },
      [] { return Expected<void>(); });
  if (!done) return done;
  const auto run = file().EndRun();
  if (!run) return tl::unexpected(run.error());
  runs_[run_count_++] = *run;
  return {};
}

template <class Emit, class BeforeTextsGo>
Expected<void> Sort::Merge(size_t count, const Emit& emit, const BeforeTextsGo& before_texts_go) {
  struct Head {
    SpillFile::Reader reader;
    Row row;
  };
  std::array<Head, SpillFile::kListsMax> heads;
  // A heap of those that have a row.
  std::array<Head*, SpillFile::kListsMax> heap;
  size_t size = 0;
  const auto comes_after = [](const Head* a, const Head* b) { return ComesBefore(b->row, a->row); };
  const auto advance = [&](Head& head) -> Expected<void> {
    if (head.reader.is_at_chunk_end()) {
      if (auto done = before_texts_go(); !done) return done;
    }
    const auto more = head.reader.Next(&head.row);
    if (!more) return tl::unexpected(more.error());
    if (!*more) return {};
    heap[size++] = &head;
    std::push_heap(heap.begin(), heap.begin() + size, comes_after);
    return {};
  };

  for (size_t i = 0; i < count; ++i) {
    heads[i].reader = SpillFile::Reader(file(), runs_[i], i);
    if (auto done = advance(heads[i]); !done) return done;
  }
  while (size != 0) {
    std::pop_heap(heap.begin(), heap.begin() + size, comes_after);
    Head& head = *heap[--size];
    if (auto done = emit(head.row); !done) return done;
    if (auto done = advance(head); !done) return done;
  }
  std::copy(runs_.begin() + static_cast<ptrdiff_t>(count),
            runs_.begin() + static_cast<ptrdiff_t>(run_count_), runs_.begin());
  run_count_ -= count;
  return {};
}

}  // namespace granary::query_engine
