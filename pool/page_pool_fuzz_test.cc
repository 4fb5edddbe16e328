// Any sequence of calls on both kinds of pool against a naive model: a set of the pages that are
// out. The cap is exact at every step, no live page changes, and every page can be had in the end.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include "memory/testing/fuzz_input.h"
#include "pool/local_page_pool.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

template <class Pool>
class Machine {
 public:
  static constexpr size_t kReserved = 600;

  Machine(size_t page_bytes, size_t max_pages, bool record_sites)
      : pool_(std::move(*Pool::Create({.page_bytes = page_bytes,
                                       .max_pages = max_pages,
                                       .reserve_pages = kReserved,
                                       .record_sites = record_sites}))),
        max_pages_(max_pages) {}

  void Step(FuzzInput& input) {
    switch (input.Number(1) % 11) {
      case 0:
      case 1:
        for (size_t i = input.Below(100) + 1; i > 0; --i) TakeOne();
        break;
      case 2:
      case 3:
        for (size_t i = input.Below(100); i > 0 && !singles_.empty(); --i) {
          pool_->Deallocate(Drop(input));
        }
        break;
      case 4: {
        std::vector<std::byte*> batch(input.Below(300));
        const size_t count = pool_->AllocateBatch(batch);
        FuzzCheck(count == std::min(batch.size(), max_pages_ - live_.size()));
        for (size_t i = 0; i < count; ++i) Enter(batch[i]), singles_.push_back(batch[i]);
        break;
      }
      case 5: {
        std::vector<std::byte*> batch;
        for (size_t i = input.Below(300); i > 0 && !singles_.empty(); --i) {
          batch.push_back(Drop(input));
        }
        pool_->DeallocateBatch(batch);
        break;
      }
      case 6: {
        const size_t count = input.Below(300);
        auto chain = pool_->AllocateChain(count);
        FuzzCheck(chain.size() == (count <= max_pages_ - live_.size() ? count : 0));
        for (std::byte* const page : chain) Enter(page);
        chain_.Splice(std::move(chain));
        break;
      }
      case 7:
        if (!singles_.empty() && input.Number(1) % 2 == 0) {
          chain_.Append(singles_.back());
          singles_.pop_back();
        } else if (std::byte* const page = chain_.Take()) {
          singles_.push_back(page);
        }
        break;
      case 8:
        for (std::byte* const page : chain_) Leave(page);
        chain_.Release();
        break;
      case 9:
        if (input.Number(1) % 2 == 0) {
          ReleaseBlocks(input);
        } else {
          const PagePoolStats before = pool_->Stats();
          (void)pool_->Trim(input.Below(300));
          FuzzCheck(pool_->Stats().live_pages == before.live_pages);
        }
        break;
      case 10: {
        const size_t cap = input.Below(kReserved + 50);
        const bool resized = pool_->Resize(cap).has_value();
        FuzzCheck(resized == (cap != 0 && cap <= kReserved && cap >= live_.size()));
        if (resized) max_pages_ = cap;
        break;
      }
    }
    const PagePoolStats stats = pool_->Stats();
    FuzzCheck(stats.max_pages == max_pages_ && stats.live_pages == live_.size());
    FuzzCheck(stats.live_pages + stats.free_pages + stats.cold_pages + stats.untouched_pages ==
              max_pages_);
  }

  void Finish() {
    for (std::byte* const page : live_) FuzzCheck(IsWhole(page));
    while (live_.size() < max_pages_) TakeOne();
    FuzzCheck(pool_->Allocate() == nullptr);
  }

 private:
  void TakeOne() {
    std::byte* const page = pool_->Allocate();
    FuzzCheck((page != nullptr) == (live_.size() < max_pages_));
    if (page == nullptr) return;
    Enter(page);
    singles_.push_back(page);
  }

  void Enter(std::byte* page) {
    FuzzCheck(pool_->Owns(page) && pool_->At(pool_->IndexOf(page)) == page);
    FuzzCheck(live_.insert(page).second);
    const PageIndex index = pool_->IndexOf(page);
    std::memcpy(page, &index, sizeof(index));
    std::memcpy(page + pool_->page_bytes() - sizeof(index), &index, sizeof(index));
  }

  bool IsWhole(const std::byte* page) const {
    const PageIndex index = pool_->IndexOf(page);
    return std::memcmp(page, &index, sizeof(index)) == 0 &&
           std::memcmp(page + pool_->page_bytes() - sizeof(index), &index, sizeof(index)) == 0;
  }

  void Leave(std::byte* page) {
    FuzzCheck(IsWhole(page));
    FuzzCheck(live_.erase(page) == 1);
  }

  std::byte* Drop(FuzzInput& input) {
    std::swap(singles_[input.Below(singles_.size())], singles_.back());
    std::byte* const page = singles_.back();
    singles_.pop_back();
    Leave(page);
    return page;
  }

  void ReleaseBlocks(FuzzInput& input) {
    BlockChain blocks;
    for (size_t i = input.Below(200); i > 0 && !singles_.empty(); --i) {
      auto* const block = ::new (Drop(input)) BlockLink{nullptr, pool_->page_bytes()};
      if (blocks.count++ == 0) {
        blocks.first = block;
      } else {
        blocks.last->next = block;
      }
      blocks.last = block;
      blocks.bytes += pool_->page_bytes();
    }
    pool_->ReleaseBlocks(blocks);
  }

  std::unique_ptr<Pool> pool_;
  size_t max_pages_;
  std::set<std::byte*> live_;
  std::vector<std::byte*> singles_;
  typename Pool::Chain chain_ = pool_->AllocateChain(0);
};

template <class Pool>
void Run(FuzzInput input, uint8_t choice) {
  Machine<Pool> machine((choice & 2) != 0 ? 512 : 4096, 1 + size_t{choice} % 100 * 4,
                        (choice & 4) != 0);
  while (!input.empty()) machine.Step(input);
  machine.Finish();
}

}  // namespace
}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  granary::FuzzInput input(data, size);
  const auto choice = static_cast<uint8_t>(input.Number(1));
  if ((choice & 1) != 0) {
    granary::Run<granary::PagePool>(input, choice);
  } else {
    granary::Run<granary::LocalPagePool>(input, choice);
  }
  return 0;
}
