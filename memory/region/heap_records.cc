#include "memory/region/heap_records.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

namespace granary::region {

HeapRecords::Layout::Layout(uint64_t count) noexcept {
  // 0 is a number too, which is never taken.
  pages = count / kRecordsPerPage + 1;
  pages_at = pages * kPageBytes;
  with_free_at = pages_at + pages * sizeof(Page);
  const uint64_t set_bytes = HeapPageSet::WordsFor(pages) * sizeof(uint64_t);
  idle_at = with_free_at + set_bytes;
  bytes = idle_at + set_bytes;
}

Expected<HeapRecords> HeapRecords::Create(uint64_t count, uint32_t first_generation,
                                          SystemCalls* calls) {
  const Layout layout(count);
  auto memory = SystemMemory::Reserve({.reserve_bytes = layout.bytes,
                                       .alignment = 0,
                                       .commit = CommitPolicy::kOnTouch,
                                       .system_calls = calls});
  if (!memory) return tl::unexpected(std::move(memory.error()));
  return HeapRecords(std::move(*memory), layout, count, first_generation);
}

HeapRecords::HeapRecords(SystemMemory memory, const Layout& layout, uint64_t count,
                         uint32_t first_generation) noexcept
    : memory_(std::move(memory)),
      records_(At<HeapRecord>(memory_, 0)),
      pages_(At<Page>(memory_, layout.pages_at)),
      with_free_(At<uint64_t>(memory_, layout.with_free_at), layout.pages),
      idle_(At<uint64_t>(memory_, layout.idle_at), layout.pages),
      count_(static_cast<uint32_t>(count)),
      pages_count_(static_cast<uint32_t>(layout.pages)),
      first_generation_(first_generation) {}

uint32_t HeapRecords::NewPage() noexcept {
  if (known_pages_ == pages_count_) return HeapPageSet::kNone;
  const uint32_t number = known_pages_++;
  uint64_t& taken = pages_[number].taken;
  if (number == 0) taken |= 1;
  // The last page has the number count_, and those behind are none.
  const uint32_t last = count_ % kRecordsPerPage;
  if (known_pages_ == pages_count_ && last + 1 < kRecordsPerPage) {
    taken |= ~uint64_t{0} << (last + 1);
  }
  with_free_.Insert(number);
  return number;
}

uint32_t HeapRecords::TakeFrom(uint32_t number) noexcept {
  Page& page = pages_[number];
  if (!page.is_there) {
    Make(number);
    page.is_there = true;
    ++there_pages_;
  } else if (page.used == 0) {
    idle_.Erase(number);
    --idle_pages_;
  }
  const auto i = static_cast<uint32_t>(std::countr_one(page.taken));
  page.taken |= uint64_t{1} << i;
  ++page.used;
  if (page.taken == ~uint64_t{0}) with_free_.Erase(number);
  return number * kRecordsPerPage + i;
}

void HeapRecords::Make(uint32_t number) noexcept {
  HeapRecord* const first = records_ + uint64_t{number} * kRecordsPerPage;
  const uint32_t generation = first_generation_ + pages_[number].generations_ended;
  for (uint32_t i = 0; i < kRecordsPerPage; ++i) {
    ::new (static_cast<void*>(first + i)) HeapRecord{};
    first[i].generation = generation;
  }
}

void HeapRecords::PutBack(HeapRecord& record) noexcept {
  const uint32_t record_number = NumberOf(record);
  const uint32_t number = record_number / kRecordsPerPage;
  Page& page = pages_[number];
  record.state = HeapRecord::State::kUnused;
  if (record.generation == 0) {
    ++retired_;
  } else {
    page.generations_ended =
        std::max(page.generations_ended, record.generation - first_generation_);
    if (page.taken == ~uint64_t{0}) with_free_.Insert(number);
    page.taken &= ~(uint64_t{1} << (record_number % kRecordsPerPage));
  }
  if (--page.used != 0) return;
  idle_.Insert(number);
  ++idle_pages_;
}

uint64_t HeapRecords::GiveBack(uint64_t bytes_max, uint64_t runs_max) noexcept {
  // The system's pages may be larger: then they go by the group.
  const auto unit = static_cast<uint32_t>(std::max<uint64_t>(1, memory_.page_bytes() / kPageBytes));
  uint64_t given = 0;
  uint32_t above = known_pages_;
  while (idle_pages_ != 0 && above != 0 && given < bytes_max && runs_max-- != 0) {
    const uint32_t last = idle_.HighestUpTo(above - 1);
    if (last == HeapPageSet::kNone) break;
    const uint64_t pages_max = (bytes_max - given - 1) / kPageBytes + 1;
    above = last;
    while (above != 0 && last - above + 1 < pages_max && idle_.Has(above - 1)) --above;
    const uint32_t begin = (above + unit - 1) / unit * unit;
    const uint32_t end = (last + 1) / unit * unit;
    if (begin >= end) continue;
    const uint64_t bytes = uint64_t{end - begin} * kPageBytes;
    const bool is_given = memory_.Decommit(uint64_t{begin} * kPageBytes, bytes).has_value();
    for (uint32_t number = begin; number < end; ++number) {
      if (is_given) {
        pages_[number].is_there = false;
        idle_.Erase(number);
      } else {
        // What is in it is what it was, or zeros.
        Make(number);
      }
    }
    if (!is_given) break;
    there_pages_ -= end - begin;
    idle_pages_ -= end - begin;
    given += bytes;
  }
  return given;
}

bool HeapRecords::IsConsistent(uint64_t used) const noexcept {
  uint64_t used_sum = 0;
  uint32_t there = 0;
  uint32_t idle = 0;
  for (uint32_t number = 0; number < known_pages_; ++number) {
    const Page& page = pages_[number];
    const bool is_idle = page.is_there && page.used == 0;
    used_sum += page.used;
    there += page.is_there;
    idle += is_idle;
    if (page.used != 0 && !page.is_there) return false;
    if (page.used > std::popcount(page.taken)) return false;
    if (with_free_.Has(number) != (page.taken != ~uint64_t{0})) return false;
    if (idle_.Has(number) != is_idle) return false;
  }
  return used_sum == used && there == there_pages_ && idle == idle_pages_;
}

}  // namespace granary::region
