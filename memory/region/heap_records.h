// HeapRecords: all records of a CompactingHeap, by number from 1, on pages that come and go.
// Internal to memory/region.
//
// Address space for as many as there may be is set aside once. Taking one cannot fail before there
// are that many, allocates nothing, and takes the lowest number that is free: so the used ones
// gather on the lower pages, and the upper ones become empty. A page of 64 records of which none is
// used goes back to the system when somebody asks.
//
// Handles stay stale. A record knows the generation that it has next. When its page goes back only
// the highest generation of the page is kept, beside it, and when the page comes back all its
// records begin there: none has had a handle with that generation or a later one. A record whose
// generations are used up is retired, and stays so: it is never taken again.
//
// Costs. Taking and putting back: a few loads and stores in a set of pages, of which the same few
// lines are used again and again; once for 64 records, making a page of them. 64 bytes a record
// that is there, and 16 bytes and a few bits for each page that ever was.
//
// Threading. One thread at a time.
#ifndef GRANARY_MEMORY_REGION_HEAP_RECORDS_H_
#define GRANARY_MEMORY_REGION_HEAP_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "memory/error.h"
#include "memory/region/heap_page_set.h"
#include "memory/region/heap_record.h"
#include "memory/system_memory.h"

namespace granary {

class SystemCalls;

namespace region {

class HeapRecords {
 public:
  static constexpr uint64_t kCountMax = std::numeric_limits<uint32_t>::max() - 1;
  static constexpr uint32_t kRecordsPerPage = 64;
  static constexpr uint64_t kPageBytes = kRecordsPerPage * sizeof(HeapRecord);
  static constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

  // Numbers up to `count`, at most kCountMax. kOutOfMemory: no address space.
  static Expected<HeapRecords> Create(uint64_t count, uint32_t first_generation,
                                      SystemCalls* calls);

  HeapRecord& At(uint32_t number) const noexcept { return records_[number]; }
  uint32_t NumberOf(const HeapRecord& record) const noexcept {
    return static_cast<uint32_t>(&record - records_);
  }
  // Whether At(number) can be looked at: one that is not taken reads as State::kUnused, wherever
  // its page is.
  bool IsKnown(uint32_t number) const noexcept {
    return number / kRecordsPerPage < known_pages_ && number != 0;
  }

  // Numbers that will not be taken again.
  uint32_t retired() const noexcept { return retired_; }
  // Of the system: pages that are there, and what is known of all.
  uint64_t held_bytes() const noexcept {
    return uint64_t{there_pages_} * kPageBytes + uint64_t{known_pages_} * sizeof(Page);
  }
  // Of these, pages of which no record is used.
  uint64_t idle_bytes() const noexcept { return uint64_t{idle_pages_} * kPageBytes; }

  // The lowest that is free; 0 if there is none. Everything but the generation is to be set.
  uint32_t Take() noexcept {
    uint32_t number = with_free_.Lowest();
    if (number == HeapPageSet::kNone && (number = NewPage()) == HeapPageSet::kNone) return 0;
    return TakeFrom(number);
  }

  // The handle of the block that it is is stale from now on.
  void EndGeneration(HeapRecord& record) noexcept { ++record.generation; }

  // One whose last generation has ended is retired: 0 comes behind it, and no handle has that.
  void PutBack(HeapRecord& record) noexcept;

  // Gives idle pages back, the highest first, until it was `bytes_max` or `runs_max` runs of pages,
  // a system call each; returns bytes. Stops at a page that the system does not take.
  uint64_t GiveBack(uint64_t bytes_max = kNoLimit, uint64_t runs_max = kNoLimit) noexcept;

  // What pages and sets say fits together, and which numbers are used: `used` of them. O(pages).
  bool IsConsistent(uint64_t used) const noexcept;

 private:
  // What is known of a page, there or not. Zeros for one that never was.
  struct Page {
    // Bit i: record i is used, or retired, or none.
    uint64_t taken;
    // Beyond the first one: when the page comes back, its records begin with it.
    uint32_t generations_ended;
    uint16_t used;
    bool is_there;
  };
  static_assert(sizeof(Page) == 16);

  // Of one mapping, whose other parts follow.
  struct Layout {
    explicit Layout(uint64_t count) noexcept;
    uint64_t pages;
    uint64_t pages_at;
    uint64_t with_free_at;
    uint64_t idle_at;
    uint64_t bytes;
  };

  HeapRecords(SystemMemory memory, const Layout& layout, uint64_t count,
              uint32_t first_generation) noexcept;

  template <class T>
  static T* At(const SystemMemory& memory, uint64_t offset) noexcept {
    return reinterpret_cast<T*>(memory.data() + offset);
  }
  // Of those that were never known, the next; kNone if there is none.
  uint32_t NewPage() noexcept;
  uint32_t TakeFrom(uint32_t number) noexcept;
  // Makes its records, of which none is used.
  void Make(uint32_t number) noexcept;

  SystemMemory memory_;
  // Each is made when its page comes.
  HeapRecord* records_;
  Page* pages_;
  HeapPageSet with_free_;
  // There, and no record is used.
  HeapPageSet idle_;
  uint32_t count_;
  uint32_t pages_count_;
  uint32_t first_generation_;
  // Pages below were used at some time.
  uint32_t known_pages_ = 0;
  uint32_t there_pages_ = 0;
  uint32_t idle_pages_ = 0;
  uint32_t retired_ = 0;
};

}  // namespace region
}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_HEAP_RECORDS_H_
