#include "integration/examples/query_engine/query.h"

#include <charconv>
#include <utility>

namespace granary::query_engine {

namespace {

class Parser {
 public:
  Parser(std::string_view text, Query* query) : rest_(text), query_(query) { Advance(); }

  Expected<void> Parse() {
    if (auto done = ParseSource("from"); !done) return done;
    while (word_ == "join") {
      if (auto done = ParseSource("join"); !done) return done;
    }
    query_->is_grouped = Accept("group");
    query_->is_ordered = Accept("order");
    if (Accept("limit")) {
      int64_t limit = 0;
      if (auto done = ParseNumber(&limit); !done) return done;
      if (limit < 0) return tl::unexpected(Failure("a limit that is not negative"));
      query_->limit = static_cast<size_t>(limit);
    }
    return word_.empty() ? Expected<void>() : tl::unexpected(Failure("the end"));
  }

 private:
  void Advance() {
    constexpr std::string_view kSpace = " \t\n";
    rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpace), rest_.size()));
    word_ = rest_.substr(0, rest_.find_first_of(kSpace));
    rest_.remove_prefix(word_.size());
  }

  bool Accept(std::string_view word) {
    const bool is_there = word_ == word;
    if (is_there) Advance();
    return is_there;
  }

  Error Failure(std::string_view expected) const {
    return {.code = ErrorCode::kInvalidArgument,
            .message = "expected " + std::string(expected) + " and found " +
                       (word_.empty() ? "the end" : "'" + std::string(word_) + "'"),
            .where = "query_engine::Parse"};
  }

  Expected<void> ParseSource(std::string_view keyword) {
    if (!Accept(keyword)) return tl::unexpected(Failure("'" + std::string(keyword) + "'"));
    if (word_.empty()) return tl::unexpected(Failure("a table"));
    Source& source = query_->sources.emplace_back();
    source.table = word_;
    Advance();
    if (!Accept("where")) return {};
    do {
      if (auto done = ParseCondition(source); !done) return done;
    } while (Accept("and"));
    return {};
  }

  Expected<void> ParseCondition(Source& source) {
    if (word_.empty()) return tl::unexpected(Failure("a column"));
    Condition& condition = source.conditions.emplace_back();
    condition.column = word_;
    Advance();
    if (Accept("=")) {
      condition.comparison = Comparison::kEqual;
    } else if (Accept("<")) {
      condition.comparison = Comparison::kLess;
    } else if (Accept(">")) {
      condition.comparison = Comparison::kGreater;
    } else {
      return tl::unexpected(Failure("'=', '<' or '>'"));
    }
    return ParseNumber(&condition.number);
  }

  Expected<void> ParseNumber(int64_t* number) {
    const char* const end = word_.data() + word_.size();
    const auto [last, error] = std::from_chars(word_.data(), end, *number);
    if (error != std::errc() || last != end) return tl::unexpected(Failure("a number"));
    Advance();
    return {};
  }

  std::string_view rest_;
  std::string_view word_;
  Query* const query_;
};

}  // namespace

Expected<void> Parse(std::string_view text, Query* query) { return Parser(text, query).Parse(); }

}  // namespace granary::query_engine
