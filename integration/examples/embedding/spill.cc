// A sort that writes its rows to a file when others lack memory.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory_resource>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "integration/engine_memory.h"
#include "integration/query_scope.h"

// [sample]
class Sort {
 public:
  Sort(granary::QueryScope& query, std::FILE* file)
      : scope_(query, {.name = "sort"}), rows_(&scope_.resource()), file_(file) {
    scope_.SpillWith([this](size_t) { return Spill(); });
  }
  ~Sort() { scope_.StopSpilling(); }  // Before the rows go.

  void Add(size_t row_count) {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < row_count; ++i) rows_.push_back(i);
  }

 private:
  // On the thread that lacks memory, which may have locks of other operators.
  size_t Spill() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return 0;  // The sort is in the middle of things.
    const size_t bytes = rows_.capacity() * sizeof(uint64_t);
    if (std::fwrite(rows_.data(), sizeof(uint64_t), rows_.size(), file_) != rows_.size()) return 0;
    std::pmr::vector<uint64_t>(rows_.get_allocator()).swap(rows_);
    return bytes;
  }

  granary::OperatorScope scope_;
  std::mutex mutex_;
  std::pmr::vector<uint64_t> rows_;
  std::FILE* const file_;
};
// [/sample]

int main() {
  constexpr size_t kMiB = size_t{1} << 20;
  granary::EngineMemory memory({.limit_bytes = 64 * kMiB});
  std::FILE* const file = std::tmpfile();
  if (file == nullptr) return 1;
  {
    granary::QueryScope query(memory, {.id = 17, .limit_bytes = 8 * kMiB});
    Sort sort(query, file);
    std::thread sorter([&] { sort.Add(4 * kMiB / sizeof(uint64_t)); });
    sorter.join();

    granary::OperatorScope join(query, {.name = "join"});
    if (join.arena().TryAllocate(6 * kMiB, 8) == nullptr) return 2;
    size_t reclaimed_bytes = 0;
    query.budget().Visit([&](const granary::BudgetStats& stats) {
      if (std::string_view(stats.name) == "sort") reclaimed_bytes = stats.reclaimed_bytes;
    });
    if (reclaimed_bytes < 4 * kMiB) return 3;
  }
  if (std::ftell(file) != int64_t{4 * kMiB}) return 4;
  std::fclose(file);
  return memory.escapes() == 0 ? 0 : 5;
}
