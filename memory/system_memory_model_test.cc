// Random sequences of calls on SystemMemory against a model that is plainly right. RapidCheck
// prints the seed of a failure and shrinks it; RC_PARAMS="seed=..." replays it.
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "memory/page_ranges.h"
#include "memory/system_memory.h"
#include "rapidcheck/gtest.h"

namespace granary {
namespace {

constexpr size_t kPages = 48;

enum class Kind { kCommit, kDecommit, kWrite };

struct Step {
  Kind kind;
  size_t offset;
  size_t bytes;
  uint8_t value;
};

std::ostream& operator<<(std::ostream& out, const Step& step) {
  const char* const names[] = {"Commit", "Decommit", "Write"};
  return out << names[static_cast<size_t>(step.kind)] << "(" << step.offset << ", " << step.bytes
             << ", " << int{step.value} << ")";
}

rc::Gen<Step> AnyStep(size_t page_bytes) {
  const size_t size_bytes = kPages * page_bytes;
  return rc::gen::map(
      rc::gen::tuple(rc::gen::element(Kind::kCommit, Kind::kDecommit, Kind::kWrite),
                     rc::gen::inRange<size_t>(0, size_bytes),
                     rc::gen::inRange<size_t>(0, size_bytes / 4), rc::gen::inRange<int>(1, 256)),
      [=](const std::tuple<Kind, size_t, size_t, int>& drawn) {
        const auto [kind, offset, bytes, value] = drawn;
        // Half of the commits and decommits that a person writes are of whole pages.
        const bool whole = kind == Kind::kCommit || value % 2 == 0;
        return Step{kind, whole ? offset / page_bytes * page_bytes : offset, bytes,
                    static_cast<uint8_t>(value)};
      });
}

// What SystemMemory should hold: the pages committed, and the bytes written that are not zero.
class Model {
 public:
  explicit Model(size_t page_bytes) : page_bytes_(page_bytes) {}

  void Commit(size_t offset, size_t bytes) {
    for (size_t at = offset; at < offset + bytes; at += page_bytes_) committed_.insert(Page(at));
  }
  size_t Decommit(size_t offset, size_t bytes) {
    size_t whole_bytes = 0;
    for (size_t page = 0; page < kPages; ++page) {
      if (page * page_bytes_ < offset || (page + 1) * page_bytes_ > offset + bytes) continue;
      whole_bytes += page_bytes_;
      committed_.erase(page);
      values_.erase(values_.lower_bound(page * page_bytes_),
                    values_.lower_bound((page + 1) * page_bytes_));
    }
    return whole_bytes;
  }
  void Write(size_t offset, uint8_t value) { values_[offset] = value; }

  bool IsCommitted(size_t offset) const { return committed_.contains(Page(offset)); }
  size_t committed_bytes() const { return committed_.size() * page_bytes_; }
  uint8_t ValueAt(size_t offset) const {
    const auto found = values_.find(offset);
    return found == values_.end() ? uint8_t{0} : found->second;
  }
  const std::map<size_t, uint8_t>& values() const { return values_; }

 private:
  size_t Page(size_t offset) const { return offset / page_bytes_; }

  size_t page_bytes_;
  std::set<size_t> committed_;
  std::map<size_t, uint8_t> values_;
};

void RunSteps(CommitPolicy policy) {
  SystemMemory memory = SystemMemory::Reserve({.reserve_bytes = kPages * 4096,
                                               .commit = policy,
                                               .guard_before_bytes = 1,
                                               .guard_behind_bytes = 1})
                            .value();
  const size_t page_bytes = memory.page_bytes();
  Model model(page_bytes);
  const auto steps = *rc::gen::container<std::vector<Step>>(AnyStep(page_bytes));
  for (const Step& step : steps) {
    const bool fits = step.bytes <= memory.size_bytes() - step.offset;
    switch (step.kind) {
      case Kind::kCommit:
        RC_ASSERT(memory.Commit(step.offset, step.bytes).has_value() == fits);
        if (fits) model.Commit(step.offset, step.bytes);
        break;
      case Kind::kDecommit: {
        const Expected<size_t> given_back = memory.Decommit(step.offset, step.bytes);
        RC_ASSERT(given_back.has_value() == fits);
        if (fits) RC_ASSERT(*given_back == model.Decommit(step.offset, step.bytes));
        break;
      }
      case Kind::kWrite:
        if (policy == CommitPolicy::kOnRequest && !model.IsCommitted(step.offset)) break;
        memory.data()[step.offset] = std::byte{step.value};
        model.Write(step.offset, step.value);
        break;
    }
    RC_ASSERT(memory.committed_bytes() == model.committed_bytes());
    for (const auto& [offset, value] : model.values()) {
      RC_ASSERT(memory.data()[offset] == std::byte{value});
    }
    for (size_t page = 0; page < kPages; ++page) {
      if (!model.IsCommitted(page * page_bytes)) continue;
      RC_ASSERT(memory.data()[page * page_bytes] == std::byte{model.ValueAt(page * page_bytes)});
    }
  }
  // Every committed page is there. On request no other is, but for those read after a decommit.
  RC_ASSERT(*memory.ResidentBytes() >= model.committed_bytes());
}

RC_GTEST_PROP(SystemMemoryModelTest, OnTouchAgreesWithTheModel, ()) {
  RunSteps(CommitPolicy::kOnTouch);
}

RC_GTEST_PROP(SystemMemoryModelTest, OnRequestAgreesWithTheModel, ()) {
  RunSteps(CommitPolicy::kOnRequest);
}

RC_GTEST_PROP(PageRangesTest, AgreesWithASetOfOffsets, ()) {
  constexpr uint64_t kEnd = 64;
  PageRanges ranges;
  std::set<uint64_t> model;
  const auto steps = *rc::gen::container<std::vector<std::tuple<bool, uint64_t, uint64_t>>>(
      rc::gen::tuple(rc::gen::arbitrary<bool>(), rc::gen::inRange<uint64_t>(0, kEnd),
                     rc::gen::inRange<uint64_t>(1, 12)));
  for (const auto& [add, begin, length] : steps) {
    const uint64_t end = std::min(begin + length, kEnd);
    const size_t before = model.size();
    for (uint64_t at = begin; at < end; ++at) {
      if (add) {
        model.insert(at);
      } else {
        model.erase(at);
      }
    }
    if (add) {
      RC_ASSERT(ranges.Add(begin, end, *PageRanges::MakeSpare()) == model.size() - before);
    } else {
      RC_ASSERT(ranges.Remove(begin, end, *PageRanges::MakeSpare()) == before - model.size());
    }
    // Walking the gaps visits exactly the offsets that are not in the set.
    std::set<uint64_t> outside;
    for (PageRanges::Range gap = ranges.FirstGap(0, kEnd); gap.begin != gap.end;
         gap = ranges.FirstGap(gap.end, kEnd)) {
      for (uint64_t at = gap.begin; at < gap.end; ++at) outside.insert(at);
    }
    for (uint64_t at = 0; at < kEnd; ++at) RC_ASSERT(outside.contains(at) != model.contains(at));
  }
}

}  // namespace
}  // namespace granary
