#include "integration/examples/query_engine/result.h"

#include <cstring>
#include <new>
#include <string_view>

namespace granary::query_engine {

namespace {

uint64_t Mixed(uint64_t hash, uint64_t value) noexcept {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 29);
}

uint64_t HashOf(std::string_view text) noexcept {
  uint64_t hash = text.size();
  while (text.size() > sizeof hash) {
    uint64_t word;
    std::memcpy(&word, text.data(), sizeof word);
    hash = Mixed(hash, word);
    text.remove_prefix(sizeof word);
  }
  uint64_t rest = 0;
  text.copy(reinterpret_cast<char*>(&rest), sizeof rest);
  return Mixed(hash, rest);
}

}  // namespace

void Digest::Add(const Row& row) noexcept {
  uint64_t hash = Mixed(1, static_cast<uint64_t>(row.key));
  hash = Mixed(hash, static_cast<uint64_t>(row.other));
  hash = Mixed(hash, static_cast<uint64_t>(row.amount));
  hash = Mixed(hash, static_cast<uint64_t>(row.count));
  hash = Mixed(hash, HashOf(row.text));
  ++rows;
  unordered += hash;
  ordered = Mixed(ordered, hash);
}

Expected<void> Result::Add(std::span<const Row> rows) {
  try {
    for (const Row& row : rows) {
      digest_.Add(row);
      if (rows_.size() == kRowsKept) continue;
      if (rows_.empty()) rows_.reserve(kRowsKept);
      rows_.emplace_back(row);
    }
  } catch (const std::bad_alloc& refusal) {
    if (auto going_on = memory_.Check(); !going_on) return going_on;
    return tl::unexpected(
        Error{.code = ErrorCode::kOutOfMemory, .message = refusal.what(), .where = "Result::Add"});
  }
  return {};
}

}  // namespace granary::query_engine
