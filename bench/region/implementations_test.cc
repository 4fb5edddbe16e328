// That every implementation keeps the contract under which it is measured: what it gives is
// aligned, may be written from end to end, is nobody else's until it is freed, and keeps what a
// resize leaves of it.
#include "bench/region/implementations.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bench/region/mapping.h"
#include "bench/region/orders.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

constexpr size_t kBytes = size_t{256} << 20;
constexpr size_t kSlots = 500;

// A region over offsets has its bytes in a mapping.
class Memory {
 public:
  std::byte* At(const Range& range) { return mapping_.data() + range.offset; }
  std::byte* At(std::byte* handle) { return handle; }

 private:
  Mapping mapping_{kBytes};
};

bool IsFilled(const std::byte* data, size_t bytes, std::byte mark) {
  for (size_t i = 0; i < bytes; ++i) {
    if (data[i] != mark) return false;
  }
  return true;
}

// Replaces among `kSlots` marked allocations, and checks the mark of each that goes.
template <class Implementation>
void CheckReplacements(const ReplacementOrder& order) {
  struct Live {
    typename Implementation::Handle handle;
    size_t bytes;
  };
  Memory memory;
  Implementation implementation(kBytes);
  std::vector<Live> live;
  const auto mark = [](size_t slot) { return static_cast<std::byte>(slot * 31 + 1); };
  const auto allocate = [&](size_t slot, const Request& request) {
    const Live made = {implementation.Allocate(request.bytes, request.alignment), request.bytes};
    ASSERT_FALSE(implementation.IsNull(made.handle));
    std::byte* const data = memory.At(made.handle);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(data) % std::min<size_t>(request.alignment, 4096), 0U);
    std::memset(data, static_cast<int>(mark(slot)), request.bytes);
    live[slot] = made;
  };
  live.resize(kSlots);
  for (size_t slot = 0; slot < kSlots; ++slot) allocate(slot, order.first[slot]);
  for (size_t i = 0; i < 5 * kSlots; ++i) {
    const size_t slot = order.replacements[i].slot % kSlots;
    ASSERT_TRUE(IsFilled(memory.At(live[slot].handle), live[slot].bytes, mark(slot)));
    implementation.Free(live[slot].handle);
    allocate(slot, order.replacements[i].request);
  }
  for (size_t slot = 0; slot < kSlots; ++slot) {
    EXPECT_TRUE(IsFilled(memory.At(live[slot].handle), live[slot].bytes, mark(slot)));
    implementation.Free(live[slot].handle);
  }
}

TEST(ImplementationsTest, GiveToOneWhatIsNobodyElses) {
  ForEachImplementation([]<class I>() {
    SCOPED_TRACE(I::kName);
    CheckReplacements<I>(LogUniform());
    CheckReplacements<I>(SmallExact());
    CheckReplacements<I>(Aligned());
  });
}

TEST(ImplementationsTest, ResizeInPlaceOrNotAtAll) {
  ForEachImplementation([]<class I>() {
    if constexpr (kIsRegion<I>) {
      SCOPED_TRACE(I::kName);
      I region(kBytes);
      auto first = region.Allocate(4096, kDefaultAlignment);
      auto second = region.Allocate(4096, kDefaultAlignment);
      const auto before = first;
      EXPECT_FALSE(region.Resize(first, 8192));
      EXPECT_EQ(first, before);
      EXPECT_TRUE(region.Resize(second, 1 << 20));
      EXPECT_TRUE(region.Resize(second, 100));
      region.Free(first);
      region.Free(second);
      const auto all = region.Allocate(kBytes - 4096, kDefaultAlignment);
      EXPECT_FALSE(region.IsNull(all)) << "what a resize left is not free";
    }
  });
}

TEST(ImplementationsTest, RefuseWhatHasNoRoom) {
  ForEachImplementation([]<class I>() {
    if constexpr (kIsRegion<I>) {
      SCOPED_TRACE(I::kName);
      I region(kBytes);
      for (const size_t bytes : {kBytes + 1, SIZE_MAX - 20, SIZE_MAX}) {
        EXPECT_TRUE(region.IsNull(region.Allocate(bytes, kDefaultAlignment)));
        EXPECT_TRUE(region.IsNull(region.Allocate(bytes, 4096)));
      }
      const auto handle = region.Allocate(1000, kDefaultAlignment);
      EXPECT_GE(region.EndOf(handle, 1000), 1000U);
      EXPECT_LT(region.EndOf(handle, 1000), 8192U);
    }
  });
}

TEST(OrdersTest, AreWhatTheCasesSay) {
  EXPECT_EQ(LogUniform().first.size(), 10'000U);
  for (const Request& request : LogUniform().first) {
    EXPECT_GE(request.bytes, 64U);
    EXPECT_LE(request.bytes, 256U << 10);
  }
  for (const Replacement& replacement : SmallExact().replacements) {
    EXPECT_EQ(replacement.request.bytes, SmallExact().first[replacement.slot].bytes);
    EXPECT_EQ(replacement.request.bytes % 16, 0U);
  }
  for (const Replacement& replacement : MillionFree().replacements) {
    EXPECT_EQ(replacement.slot % 2, 0U);
  }
}

}  // namespace
}  // namespace granary::bench
