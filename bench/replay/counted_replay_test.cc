#include "bench/replay/counted_replay.h"

#include <string>
#include <vector>

#include "bench/region/implementations.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

constexpr size_t kBytes = size_t{1} << 20;

// Grows where there is room, moves where there is none, shrinks, and leaves one.
constexpr const char* kText =
    "0\n4\n9\n1\na 0 1000\na 1 5000\nr 1 9001\nr 0 3000\na 2 0\nf 1\nr 0 17\na 3 20000\nf 2\n";

template <class Implementation>
struct Counted {
  explicit Counted(Writes writes, const char* text = kText, size_t bytes = kBytes)
      : trace(ParseRepTrace(text, "t").value()),
        live(trace.id_count),
        implementation(bytes),
        observer(implementation, trace.id_count, bytes, writes),
        failures(Replay(implementation, trace.operations, live, observer)) {}
  ~Counted() { FreeAll(implementation, live); }

  RepTrace trace;
  std::vector<typename Implementation::Handle> live;
  Implementation implementation;
  CountingObserver<Implementation> observer;
  size_t failures;
};

TEST(CountedReplayTest, CountsTheSameWhateverIsWritten) {
  ForEachImplementation([]<class I>() {
    SCOPED_TRACE(I::kName);
    for (const Writes writes : {Writes::kNothing, Writes::kPages, Writes::kPayload}) {
      Counted<I> counted(writes);
      EXPECT_EQ(counted.failures, 0U);
      EXPECT_EQ(counted.observer.peak_live_bytes(), 20018U);
      EXPECT_EQ(counted.observer.HeldBytes().has_value(),
                kIsRegion<I> || writes != Writes::kNothing);
      counted.observer.CheckLive(counted.live);
    }
  });
}

TEST(CountedReplayTest, RegionTellsItsHighestEndAndItsFreeRanges) {
  const Counted<Granary> counted(Writes::kNothing);
  // 1008 and 9008 in the beginning, 3008 behind them, 16 where the first was; 20000 behind all
  // that.
  EXPECT_EQ(counted.observer.HeldBytes(), 10016U + 3008U - 2976U + 20000U);
  EXPECT_EQ(counted.observer.free_ranges_at_peak(), 2U);
}

TEST(CountedReplayTest, WhatIsRefusedIsCountedAndLeftOut) {
  const char* const text = "0\n3\n6\n1\na 0 1000\na 1 3000000\nr 0 2000000\nr 1 500\nf 1\nf 0\n";
  const Counted<Granary> counted(Writes::kPayload, text);
  EXPECT_EQ(counted.failures, 2U);
  EXPECT_EQ(counted.observer.peak_live_bytes(), 1500U);
}

TEST(PayloadTest, DamageIsFoundWhereItIs) {
  std::vector<std::byte> data(1001);
  for (const size_t bytes : {size_t{1}, size_t{8}, size_t{13}, data.size()}) {
    FillPayload(data.data(), bytes, 7);
    EXPECT_FALSE(FindDamage(data.data(), bytes, 7));
    EXPECT_EQ(FindDamage(data.data(), bytes, 8), 0U);
    data[bytes - 1] ^= std::byte{1};
    EXPECT_EQ(FindDamage(data.data(), bytes, 7), (bytes - 1) / 8 * 8);
  }
}

using CountedReplayDeathTest = ::testing::Test;

TEST(CountedReplayDeathTest, DamagedPayloadEndsTheReplay) {
  Counted<Granary> counted(Writes::kPayload);
  counted.live[3].offset += 16;
  EXPECT_EXIT(counted.observer.CheckLive(counted.live), ::testing::ExitedWithCode(1),
              "the payload of id 3, 20000 bytes, is damaged at byte 0");
  counted.live[3].offset -= 16;
}

}  // namespace
}  // namespace granary::bench
