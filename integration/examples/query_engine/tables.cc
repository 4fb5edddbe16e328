#include "integration/examples/query_engine/tables.h"

#include <algorithm>
#include <cstdio>

namespace granary::query_engine {

namespace {

constexpr int64_t kDays = 2556;
constexpr int64_t kNations = 25;
// Comments are pieces of one long text, as the specification's are.
constexpr size_t kTextBytes = size_t{1} << 18;
constexpr size_t kNameBytes = sizeof("Customer#000000000") - 1;

// A number that looks random, of `n` in the stream `stream`. Source: the finaliser of SplitMix64
// (G. L. Steele, D. Lea and C. H. Flood, 2014).
uint64_t Mixed(uint64_t stream, uint64_t n) noexcept {
  uint64_t z = (stream << 56) + n * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

int64_t Between(uint64_t stream, uint64_t n, int64_t first, int64_t last) noexcept {
  return first + static_cast<int64_t>(Mixed(stream, n) % static_cast<uint64_t>(last - first + 1));
}

void FillWithWords(std::span<char> text) noexcept {
  constexpr std::array<std::string_view, 16> kWords = {
      "carefully ", "final ",   "deposits ", "sleep ",   "furiously ", "above ",
      "the ",       "pending ", "requests ", "ironic ",  "packages ",  "quickly ",
      "regular ",   "among ",   "bold ",     "accounts "};
  size_t at = 0;
  for (uint64_t n = 0; at < text.size(); ++n) {
    const std::string_view word = kWords[Mixed(7, n) % kWords.size()];
    at += word.copy(text.data() + at, text.size() - at);
  }
}

}  // namespace

Tables::Tables(double scale, std::pmr::memory_resource& memory)
    : customer_(&memory), orders_(&memory), lineitem_(&memory), text_(&memory) {
  const auto customers = std::max<int64_t>(3, static_cast<int64_t>(150'000 * scale));
  const int64_t orders = 10 * customers;
  // Its views would not survive a move, and so all sizes are known first.
  text_.resize(kTextBytes + static_cast<size_t>(customers) * kNameBytes);
  FillWithWords(std::span(text_).first(kTextBytes));
  const auto comment = [&](uint64_t stream, uint64_t n, int64_t bytes_min, int64_t bytes_max) {
    const auto bytes = static_cast<size_t>(Between(stream, n, bytes_min, bytes_max));
    return std::string_view(text_.data() + Mixed(stream + 1, n) % (kTextBytes - bytes), bytes);
  };

  customer_.reserve(static_cast<size_t>(customers));
  for (int64_t key = 1; key <= customers; ++key) {
    const auto n = static_cast<uint64_t>(key);
    char* const name = text_.data() + kTextBytes + static_cast<size_t>(key - 1) * kNameBytes;
    std::array<char, kNameBytes + 1> buffer;
    std::snprintf(buffer.data(), buffer.size(), "Customer#%09d", static_cast<int>(key));
    std::copy_n(buffer.data(), kNameBytes, name);
    customer_.push_back({{key, Between(1, n, 0, kNations - 1), Between(2, n, -99'999, 999'999),
                          Between(3, n, 0, kDays - 1), Between(4, n, 0, 4)},
                         std::string_view(name, kNameBytes)});
  }

  size_t lines = 0;
  const auto lines_of = [](uint64_t order) { return Between(10, order, 1, 7); };
  for (int64_t key = 1; key <= orders; ++key) {
    lines += static_cast<size_t>(lines_of(static_cast<uint64_t>(key)));
  }
  orders_.reserve(static_cast<size_t>(orders));
  lineitem_.reserve(lines);
  for (int64_t key = 1; key <= orders; ++key) {
    const auto n = static_cast<uint64_t>(key);
    // A third of the customers has no orders.
    const int64_t group = Between(11, n, 0, (customers - 1) / 3);
    const int64_t customer = std::min(customers, 3 * group + Between(12, n, 1, 2));
    const int64_t date = Between(13, n, 0, kDays - 152);
    int64_t total = 0;
    for (int64_t line = 0; line < lines_of(n); ++line) {
      const uint64_t m = 8 * n + static_cast<uint64_t>(line);
      const int64_t quantity = Between(14, m, 1, 50);
      const int64_t price = quantity * Between(15, m, 90'000, 200'000);
      total += price;
      lineitem_.push_back(
          {{key, Between(16, m, 1, 200'000), price, date + Between(17, m, 1, 121), quantity},
           comment(20, m, 10, 43)});
    }
    orders_.push_back({{key, customer, total, date, Between(18, n, 1, 5)}, comment(22, n, 19, 78)});
  }

  tables_ = {
      Table{"customer", {"custkey", "nationkey", "balance", "since", "segment"}, customer_},
      Table{"orders", {"orderkey", "custkey", "total", "orderdate", "priority"}, orders_},
      Table{"lineitem", {"orderkey", "partkey", "price", "shipdate", "quantity"}, lineitem_}};
}

const Table* Tables::Find(std::string_view name) const noexcept {
  const auto found = std::find_if(tables_.begin(), tables_.end(),
                                  [&](const Table& table) { return table.name == name; });
  return found != tables_.end() ? &*found : nullptr;
}

std::span<const Record> Table::WithKeys(int64_t first, int64_t last) const noexcept {
  const auto key_before = [](const Record& record, int64_t key) {
    return record.columns[kKey] < key;
  };
  const auto begin = std::lower_bound(records.begin(), records.end(), first, key_before);
  const auto end = std::lower_bound(begin, records.end(), last, key_before);
  return {begin, end};
}

}  // namespace granary::query_engine
