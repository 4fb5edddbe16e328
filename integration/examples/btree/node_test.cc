// That a node's keys are found, in pages of all sizes.
#include "integration/examples/btree/node.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/random_seed.h"

namespace granary::btree {
namespace {

class NodeSearchTest : public ::testing::Test {
 protected:
  // A leaf with `count` keys, in a page that is full of anything.
  void Check(size_t page_bytes, size_t header_bytes, uint16_t level, size_t count) {
    const NodeLayout layout(page_bytes, header_bytes);
    std::vector<std::byte> page(page_bytes);
    for (std::byte& byte : page) byte = static_cast<std::byte>(random_());
    const Node node(page.data(), layout);
    NodeHeader header;
    header.level = level;
    header.count = static_cast<uint16_t>(count);
    node.SetHeader(header);
    std::vector<Key> keys;
    for (size_t i = 0; i < count; ++i) keys.push_back(10 + 10 * i + random_() % 10);
    for (size_t i = 0; i < count; ++i) node.SetKey(i, keys[i]);
    std::vector<Key> wanted = {0, kKeyMax};
    for (const Key key : keys) wanted.insert(wanted.end(), {key - 1, key, key + 1});
    for (const Key key : wanted) {
      const auto expected = std::ranges::lower_bound(keys, key) - keys.begin();
      ASSERT_EQ(node.Find(key), static_cast<size_t>(expected))
          << key << " of " << count << " keys in " << page_bytes << " - " << header_bytes << " B";
    }
  }

  const uint64_t seed_ = RandomTestSeed();
  std::mt19937_64 random_{seed_};
};

TEST_F(NodeSearchTest, FindsTheFirstKeyThatIsNotBelow) {
  SCOPED_TRACE(HowToReplay(seed_));
  for (const size_t page_bytes : {512u, 1024u, 2048u, 4096u}) {
    for (const size_t header_bytes : {0u, 32u, 128u}) {
      for (const uint16_t level : {uint16_t{0}, uint16_t{1}}) {
        NodeHeader header;
        header.level = level;
        const size_t count_max = NodeLayout(page_bytes, header_bytes).CountMax(header);
        for (size_t count = level; count <= count_max; ++count) {
          Check(page_bytes, header_bytes, level, count);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_F(NodeSearchTest, FindsItInTheLargestPages) {
  SCOPED_TRACE(HowToReplay(seed_));
  constexpr size_t kPageBytes = size_t{1} << 20;
  const size_t count_max = NodeLayout(kPageBytes, 0).CountMax({});
  for (const size_t count : {size_t{0}, size_t{1}, count_max / 3, count_max - 1, count_max}) {
    Check(kPageBytes, 0, 0, count);
  }
}

}  // namespace
}  // namespace granary::btree
