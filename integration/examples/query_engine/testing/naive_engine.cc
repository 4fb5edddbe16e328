#include "integration/examples/query_engine/testing/naive_engine.h"

#include <algorithm>
#include <map>
#include <memory_resource>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "integration/examples/query_engine/query.h"

namespace granary::query_engine {

namespace {

bool Meets(const Table& table, const Record& record, const Condition& condition) {
  for (size_t i = 0; i < kColumnCount; ++i) {
    if (table.column_names[i] != condition.column) continue;
    const int64_t value = record.columns[i];
    if (condition.comparison == Comparison::kEqual) return value == condition.number;
    return condition.comparison == Comparison::kLess ? value < condition.number
                                                     : value > condition.number;
  }
  throw std::invalid_argument("no such column");
}

std::vector<Row> RowsOf(const Source& source, const Tables& tables) {
  const Table& table = *tables.Find(source.table);
  std::vector<Row> rows;
  for (const Record& record : table.records) {
    const bool is_wanted =
        std::all_of(source.conditions.begin(), source.conditions.end(),
                    [&](const Condition& condition) { return Meets(table, record, condition); });
    if (is_wanted) rows.push_back(record.AsRow());
  }
  return rows;
}

NaiveResult RunNaively(const std::string& text, const Tables& tables) {
  Query query(std::pmr::new_delete_resource());
  if (!Parse(text, &query)) throw std::invalid_argument(text);
  NaiveResult result;
  std::vector<Row>& rows = result.rows;
  rows = RowsOf(query.sources[0], tables);
  for (size_t i = 1; i < query.sources.size(); ++i) {
    std::multimap<int64_t, Row> built;
    for (const Row& row : RowsOf(query.sources[i], tables)) built.emplace(row.key, row);
    std::vector<Row> joined;
    for (const Row& row : rows) {
      const auto [begin, end] = built.equal_range(row.key);
      for (auto other = begin; other != end; ++other) {
        joined.push_back({other->second.other, row.key, row.amount, row.count, other->second.text});
      }
    }
    rows = std::move(joined);
  }
  if (query.is_grouped) {
    std::map<int64_t, Row> groups;
    for (const Row& row : rows) {
      const auto [group, is_new] = groups.emplace(row.key, row);
      if (is_new) continue;
      group->second.amount += row.amount;
      group->second.count += row.count;
      group->second.other = std::min(group->second.other, row.other);
      group->second.text = std::min(group->second.text, row.text);
    }
    rows.clear();
    for (const auto& [key, group] : groups) rows.push_back(group);
  }
  result.is_ordered = query.is_ordered;
  if (query.is_ordered) std::sort(rows.begin(), rows.end(), ComesBefore);
  if (query.limit) rows.resize(std::min(rows.size(), *query.limit));
  for (const Row& row : rows) result.digest.Add(row);
  return result;
}

}  // namespace

const NaiveResult& NaiveResultOf(const std::string& text, const Tables& tables) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, const Tables*>, NaiveResult> results;
  const std::lock_guard lock(mutex);
  const auto [result, is_new] = results.try_emplace({text, &tables});
  if (is_new) result->second = RunNaively(text, tables);
  return result->second;
}

}  // namespace granary::query_engine
