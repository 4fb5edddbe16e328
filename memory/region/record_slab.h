// RecordSlab: the records of a region, in one mapping. Internal to memory/region.
//
// Address space for as many as there may be is set aside once; the system gives memory to those
// that are used, a page at a time. So taking a record cannot fail before there are that many,
// allocates nothing, and a record can be named by a number of 32 bits.
#ifndef GRANARY_MEMORY_REGION_RECORD_SLAB_H_
#define GRANARY_MEMORY_REGION_RECORD_SLAB_H_

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "memory/error.h"
#include "memory/system_calls.h"

namespace granary::region {

template <class Record>
class RecordSlab {
 public:
  // Distances between records have 30 bits and a sign.
  static constexpr uint64_t kCountMax = uint64_t{1} << 29;

  // Room for `count`; the numbers 0 and below `first` are the owner's, and not taken.
  static Expected<RecordSlab> Create(uint64_t count, uint32_t first,
                                     SystemCalls& calls = SystemCalls::Real()) {
    const size_t bytes = static_cast<size_t>(count) * sizeof(Record);
    void* const mapped = calls.Map(nullptr, bytes, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    if (mapped == MAP_FAILED) {
      return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                                  .message = "no address space for " + std::to_string(count) +
                                             " ranges, " + std::to_string(bytes) + " bytes",
                                  .where = "RecordSlab::Create",
                                  .system_errno = errno});
    }
    return RecordSlab(calls, static_cast<Record*>(mapped), static_cast<uint32_t>(count), first);
  }

  RecordSlab(RecordSlab&& other) noexcept
      : calls_(other.calls_),
        records_(std::exchange(other.records_, nullptr)),
        count_(other.count_),
        touched_(other.touched_),
        free_(other.free_),
        used_(other.used_) {}
  RecordSlab& operator=(RecordSlab&& other) noexcept {
    std::swap(calls_, other.calls_);
    std::swap(records_, other.records_);
    std::swap(count_, other.count_);
    std::swap(touched_, other.touched_);
    std::swap(free_, other.free_);
    std::swap(used_, other.used_);
    return *this;
  }
  ~RecordSlab() {
    if (records_ != nullptr) (void)calls_->Unmap(records_, count_ * sizeof(Record));
  }

  Record& At(uint32_t number) const noexcept { return records_[number]; }
  uint32_t NumberOf(const Record& record) const noexcept {
    return static_cast<uint32_t>(&record - records_);
  }

  uint32_t capacity() const noexcept { return count_; }
  // More than any number that was ever taken.
  uint32_t touched() const noexcept { return touched_; }

  // The same records, with the same numbers and links, of another width it may be. Room for all of
  // them is here, and none was taken.
  template <class Other>
  void CopyFrom(const RecordSlab<Other>& other) noexcept {
    for (uint32_t number = 0; number < other.touched_; ++number) {
      const Other& from = other.records_[number];
      Record& to = records_[number];
      to.by_address = from.by_address;
      // Whichever member of the union it is.
      to.by_size = from.by_size;
      to.offset = from.offset;
      to.length = from.length;
    }
    touched_ = other.touched_;
    free_ = other.free_;
    used_ = other.used_;
  }

  // Whether so many can be taken.
  bool Has(uint32_t count) const noexcept { return count_ - used_ >= count; }
  // One of those that Has() has promised. What is in it means nothing.
  Record& Take() noexcept {
    ++used_;
    if (free_ == 0) return records_[touched_++];
    Record& record = records_[free_];
    free_ = record.in_bin.next;
    return record;
  }
  void PutBack(Record& record) noexcept {
    --used_;
    record.in_bin.next = free_;
    free_ = NumberOf(record);
  }

 private:
  template <class Other>
  friend class RecordSlab;

  RecordSlab(SystemCalls& calls, Record* records, uint32_t count, uint32_t first) noexcept
      : calls_(&calls), records_(records), count_(count), touched_(first), used_(first) {}

  SystemCalls* calls_;
  Record* records_;
  uint32_t count_;
  // Those from here on were never taken.
  uint32_t touched_;
  // The first of the free ones, 0 for none.
  uint32_t free_ = 0;
  uint32_t used_;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_RECORD_SLAB_H_
