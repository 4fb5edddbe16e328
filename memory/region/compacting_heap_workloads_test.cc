// The workloads W0 to W9: after defragmentation a CompactingHeap is no more fragmented than PMDK
// promises to be, and every byte is what it was.
//
// GRANARY_TEST_DIVISOR sets how much smaller than PMDK's they are.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/compacting_heap.h"
#include "memory/region/testing/heap_bytes.h"
#include "memory/region/workloads/fragmentation_workloads.h"
#include "memory/sanitizer.h"

namespace granary {
namespace {

uint64_t Divisor() {
  const char* const chosen = std::getenv("GRANARY_TEST_DIVISOR");
  if (chosen != nullptr) return std::strtoull(chosen, nullptr, 10);
  return kCheckedBuild ? 2000 : 200;
}

class HeapTarget {
 public:
  explicit HeapTarget(const HeapOptions& options)
      : heap_(CompactingHeap::Create(options).value()) {}

  struct Object {
    BlockHandle block;
    uint64_t tag;
  };

  std::optional<Object> Allocate(uint64_t bytes) {
    const auto block = heap_->Allocate(bytes);
    if (!block) return std::nullopt;
    const Object object = {*block, ++tag_};
    pattern_.resize(bytes);
    PatternOf(object.tag, pattern_);
    Succeeds(heap_->Write(object.block, 0, pattern_));
    return object;
  }
  void Free(const Object& object) { Succeeds(heap_->Free(object.block)); }
  void Remains(const Object& object) { left_.push_back(object); }

  CompactingHeap& heap() { return *heap_; }
  // How many of the blocks that are left are not what was written to them.
  uint64_t CountDamaged() const {
    EXPECT_EQ(left_.size(), heap_->Stats().blocks);
    uint64_t damaged = 0;
    for (const Object& object : left_) damaged += !HasPattern(*heap_, object.block, object.tag);
    return damaged;
  }

 private:
  std::unique_ptr<CompactingHeap> heap_;
  uint64_t tag_ = 0;
  std::vector<std::byte> pattern_;
  std::vector<Object> left_;
};

struct Case {
  int number;
  uint64_t grain;
};

class FragmentationWorkloadTest : public testing::TestWithParam<Case> {};

void Print(const char* what, const Case& param, const DefragReport& report) {
  std::printf(
      "W%d grain %llu %s: %.4f -> %.4f, %s; evacuated %llu for %llu, slid %llu; %llu in all\n",
      param.number, static_cast<unsigned long long>(param.grain), what, report.fragmentation_before,
      report.fragmentation_after, DefragStopName(report.stop),
      static_cast<unsigned long long>(report.evacuated_bytes),
      static_cast<unsigned long long>(report.evacuation_reclaimed_bytes),
      static_cast<unsigned long long>(report.slid_bytes),
      static_cast<unsigned long long>(report.reclaimed_bytes));
}

TEST_P(FragmentationWorkloadTest, EndsAsPmdkPromisesAndMovesAByteForAByte) {
  const Case param = GetParam();
  const double target = kPmdkDefragmentedTargets[static_cast<size_t>(param.number)];
  FragmentationWorkload workload({.number = param.number, .divisor = Divisor()});
  HeapTarget objects({.limit_bytes = workload.heap_bytes(),
                      .grain = param.grain,
                      .max_blocks = uint64_t{1} << 24,
                      .chunk_bytes = 1 << 16});
  ASSERT_TRUE(workload.Run(objects));
  CompactingHeap& heap = objects.heap();

  // In small steps, up to the goal.
  DefragReport sum;
  sum.fragmentation_before = heap.Fragmentation();
  do {
    const DefragReport step =
        heap.Defragment(MoveBudget::Step(64 << 10), {.max_fragmentation = target});
    ASSERT_LE(step.moved_bytes(), 64u << 10);
    sum.stop = step.stop;
    sum.evacuated_bytes += step.evacuated_bytes;
    sum.evacuation_reclaimed_bytes += step.evacuation_reclaimed_bytes;
    sum.slid_bytes += step.slid_bytes;
    sum.reclaimed_bytes += step.reclaimed_bytes;
  } while (sum.stop == DefragStop::kBudget);
  sum.fragmentation_after = heap.Fragmentation();
  Print("steps to PMDK's", param, sum);
  EXPECT_EQ(sum.stop, DefragStop::kGoalReached);
  EXPECT_LE(heap.Fragmentation(), target);
  EXPECT_LE(static_cast<double>(sum.evacuated_bytes),
            1.05 * static_cast<double>(sum.evacuation_reclaimed_bytes));

  // And as far as it goes.
  const DefragReport rest = heap.Defragment();
  Print("all the rest", param, rest);
  EXPECT_EQ(rest.stop, DefragStop::kGoalReached);
  EXPECT_EQ(heap.Fragmentation(), 0);
  EXPECT_EQ(objects.CountDamaged(), 0u);
  if (param.grain == 1) {
    EXPECT_EQ(heap.Stats().end_bytes, heap.Stats().asked_bytes);
  }
  const auto valid = heap.Validate();
  EXPECT_TRUE(valid) << valid.error().message;
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (int number = 0; number < kFragmentationWorkloads; ++number) {
    for (const uint64_t grain : {uint64_t{1}, uint64_t{16}}) cases.push_back({number, grain});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(W, FragmentationWorkloadTest, testing::ValuesIn(Cases()),
                         [](const auto& its) {
                           return std::to_string(its.param.number) + "Grain" +
                                  std::to_string(its.param.grain);
                         });

}  // namespace
}  // namespace granary
