#include "memory/region/region_types.h"

#include <optional>

#include "gtest/gtest.h"

namespace granary {
namespace {

TEST(OptionalRangeTest, IsAsAnOptional) {
  const OptionalRange none;
  const OptionalRange some(Range{3, 4});
  EXPECT_FALSE(none);
  EXPECT_TRUE(some);
  EXPECT_EQ(none, std::nullopt);
  EXPECT_NE(some, std::nullopt);
  EXPECT_EQ(some, OptionalRange(Range{3, 4}));
  EXPECT_EQ(*some, (Range{3, 4}));
  EXPECT_EQ(some->end(), 7U);
  EXPECT_EQ(std::optional<Range>(some), std::optional<Range>({3, 4}));
  EXPECT_EQ(std::optional<Range>(none), std::nullopt);
  EXPECT_EQ(some.value(), (Range{3, 4}));
  EXPECT_EQ(none.value_or({1, 1}), (Range{1, 1}));
  EXPECT_THROW((void)none.value(), std::bad_optional_access);
}

}  // namespace
}  // namespace granary
