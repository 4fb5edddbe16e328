#include "pool/buffer/memory_page_store.h"

#include <cerrno>
#include <cstring>
#include <memory>

#include "gtest/gtest.h"
#include "memory/little_endian.h"
#include "memory/testing/failing_calls.h"
#include "pool/buffer/testing/page_buffers.h"
#include "pool/buffer/testing/page_store_conformance_test_suite.h"

namespace granary {
namespace {

PageStoreTraits OfPages(const std::string& name, size_t page_bytes) {
  return {.name = name,
          .make = [page_bytes](std::string*) -> std::unique_ptr<PageStore> {
            return std::move(
                *MemoryPageStore::Create({.page_bytes = page_bytes, .capacity_pages = 5000}));
          },
          .reopen = nullptr};
}

INSTANTIATE_TEST_SUITE_P(Memory, PageStoreConformanceTest,
                         testing::Values(OfPages("Of512Bytes", 512), OfPages("Of4KiB", 4096),
                                         OfPages("Of16KiB", 16384)),
                         PageStoreName);

TEST(MemoryPageStoreTest, RefusesWhatMakesNoSense) {
  for (const size_t bytes : {size_t{0}, size_t{256}, size_t{4095}, size_t{2} << 20}) {
    const auto store = MemoryPageStore::Create({.page_bytes = bytes, .pages = 1});
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(store.error().message.find(std::to_string(bytes)), std::string::npos);
  }
  EXPECT_FALSE(MemoryPageStore::Create({.pages = 3, .capacity_pages = 2}));
  EXPECT_FALSE(MemoryPageStore::Create({.pages = UINT64_MAX}));
}

TEST(MemoryPageStoreTest, HasRoomForItsCapacity) {
  auto store = std::move(*MemoryPageStore::Create({.pages = 2, .capacity_pages = 3}));
  EXPECT_EQ(store->PageCount(), 2u);
  PageBuffers buffers(2, 4096);
  PageWrite writes[] = {{.page = 3, .bytes = buffers[0]}, {.page = 2, .bytes = buffers[1]}};
  store->Write(writes);
  EXPECT_EQ(writes[0].error_number, ENOSPC);
  EXPECT_EQ(writes[1].error_number, 0);
  EXPECT_EQ(store->PageCount(), 3u);
  const auto extended = store->Extend(4);
  ASSERT_FALSE(extended);
  EXPECT_EQ(extended.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(extended.error().message, "memory: 4 pages; it has room for 3");
}

TEST(MemoryPageStoreTest, SaysThatTheSystemHasNoMemory) {
  for (size_t nth = 1;; ++nth) {
    FailingCalls calls;
    calls.RefuseCall(nth, ENOMEM);
    {
      const auto store = MemoryPageStore::Create({.pages = 100, .system_calls = &calls});
      if (!calls.refused()) {
        EXPECT_TRUE(store);
        EXPECT_GT(nth, 1u);
        break;
      }
      EXPECT_TRUE(store || store.error().code == ErrorCode::kOutOfMemory);
      calls.RefuseCall(0, 0);
    }
    EXPECT_EQ(calls.mapped_bytes(), 0);
  }
}

TEST(MemoryPageStoreTest, ATruncationThatTheSystemRefusesLeavesTheCount) {
  FailingCalls calls;
  auto store = std::move(*MemoryPageStore::Create({.pages = 4, .system_calls = &calls}));
  calls.RefuseCall(1, EINVAL);
  EXPECT_FALSE(store->Truncate(1));
  EXPECT_EQ(store->PageCount(), 4u);
  EXPECT_TRUE(store->Truncate(1));
  EXPECT_EQ(store->PageCount(), 1u);
}

TEST(MemoryPageStoreTest, DiscardsWhatNobodyLooksAt) {
  auto store =
      std::move(*MemoryPageStore::Create({.pages = 10, .contents = MemoryPages::kDiscard}));
  PageBuffers buffers(1, 4096);
  buffers.Fill(0, 1, 1);
  const uint64_t far = uint64_t{1} << 40;
  PageWrite write{.page = far, .bytes = buffers[0]};
  store->Write({&write, 1});
  EXPECT_EQ(write.error_number, 0);
  EXPECT_EQ(store->PageCount(), far + 1);
  buffers.Fill(0, 2, 2);
  PageBuffers as_before(1, 4096);
  as_before.Fill(0, 2, 2);
  PageRead read{.page = far - 7, .bytes = buffers[0]};
  store->Read({&read, 1});
  EXPECT_EQ(read.error_number, 0);
  EXPECT_EQ(GetFixed<uint64_t>(buffers[0]), far - 7);
  EXPECT_EQ(std::memcmp(buffers[0] + 8, as_before[0] + 8, 4096 - 8), 0);
  ASSERT_TRUE(store->Truncate(5));
  store->Read({&read, 1});
  EXPECT_EQ(read.error_number, ENODATA);
}

}  // namespace
}  // namespace granary
