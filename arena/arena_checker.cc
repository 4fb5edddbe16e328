#include "arena/arena_checker.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "memory/memory_resource.h"
#include "memory/misuse.h"
#include "memory/sanitizer.h"

namespace granary {

namespace {

// What free memory, red zones and new objects carry. Distinct, unlikely as data, and no valid
// pointers.
constexpr unsigned char kFreeByte = 0xdb;
constexpr unsigned char kRedZoneByte = 0xfd;
constexpr unsigned char kNewByte = 0xcd;

constexpr size_t kRedZoneBytes = 16;

unsigned char* Bytes(void* p) noexcept { return static_cast<unsigned char*>(p); }

// The first byte of [begin, end) that is not `value`, or end.
const unsigned char* FindOther(const unsigned char* begin, const unsigned char* end,
                               unsigned char value) noexcept {
  return std::find_if(begin, end, [value](unsigned char byte) { return byte != value; });
}

}  // namespace

// Everything needed to verify the slot again, kept in it before the object.
struct ArenaChecker::Header {
  Header* older;
  unsigned char* slot;
  unsigned char* object;
  size_t bytes;
  size_t alignment;
  // What a write before the object hits first. Fills the header up to a multiple of 16.
  unsigned char red_zone[8];

  unsigned char* header_begin() noexcept { return reinterpret_cast<unsigned char*>(this); }
  const unsigned char* header_begin() const noexcept {
    return reinterpret_cast<const unsigned char*>(this);
  }
  // Where objects of the slot may begin.
  const unsigned char* base() const noexcept { return header_begin() + sizeof(Header); }
  const unsigned char* object_end() const noexcept { return object + bytes; }
  const unsigned char* slot_end() const noexcept { return slot + SlotBytes(bytes, alignment); }
};

size_t ArenaChecker::SlotAlignment(size_t alignment) noexcept {
  return std::max(alignment, kDefaultAlignment);
}

// The left red zone is what the header and the alignment leave: an object of a larger alignment
// begins at the second multiple of it that the slot has room for.
size_t ArenaChecker::SlotBytes(size_t bytes, size_t alignment) noexcept {
  const size_t front = AlignUp(sizeof(Header), SlotAlignment(alignment));
  if (bytes > SIZE_MAX / 2) return SIZE_MAX;
  return front + AlignUp(bytes, kDefaultAlignment) + kRedZoneBytes;
}

void ArenaChecker::Fresh(void* p, size_t bytes) noexcept {
  std::memset(p, kFreeByte, bytes);
  MarkFree(p, bytes);
}

void ArenaChecker::Stale(void* p, size_t bytes) noexcept { MarkReadable(p, bytes); }

void* ArenaChecker::Lay(void* slot, size_t bytes, size_t alignment) noexcept {
  unsigned char* const begin = Bytes(slot);
  const size_t slot_bytes = SlotBytes(bytes, alignment);
  MarkReadable(begin, slot_bytes);
  const unsigned char* const other = FindOther(begin, begin + slot_bytes, kFreeByte);
  if (other != begin + slot_bytes) {
    AbortOnMisuse(
        "arena '%s': the byte at %p was written (0x%02x) while it belonged to nobody: a write "
        "behind a "
        "reset, a rewind or the end of an object; found when a %zu-byte object was allocated there",
        arena_name_, static_cast<const void*>(other), *other, bytes);
  }
  unsigned char* const base = begin + AlignUp(sizeof(Header), SlotAlignment(alignment));
  unsigned char* const object =
      alignment == 1 ? base + (AlignUp(bytes, kDefaultAlignment) - bytes) : base;
  std::memset(begin, kRedZoneByte, slot_bytes);
  std::memset(object, kNewByte, bytes);
  Header* const header = ::new (base - sizeof(Header)) Header{.older = newest_,
                                                              .slot = begin,
                                                              .object = object,
                                                              .bytes = bytes,
                                                              .alignment = alignment,
                                                              .red_zone = {}};
  std::memset(header->red_zone, kRedZoneByte, sizeof(header->red_zone));
  if (newest_ == nullptr) oldest_ = header;
  newest_ = header;
  MarkFree(begin, slot_bytes);
  MarkAllocated(object, bytes);
  return object;
}

void ArenaChecker::Verify(const Header& header, const char* call) const noexcept {
  // The object itself stays as it is marked: it may be undefined, which is no error.
  MarkReadable(header.base(), static_cast<size_t>(header.object - header.base()));
  MarkReadable(header.object_end(), static_cast<size_t>(header.slot_end() - header.object_end()));
  const unsigned char* const before = FindOther(header.red_zone, header.object, kRedZoneByte);
  if (before != header.object) {
    AbortOnMisuse(
        "arena '%s': the byte %td before the %zu-byte object at %p was overwritten (0x%02x); found "
        "by "
        "%s",
        arena_name_, header.object - before, header.bytes, static_cast<void*>(header.object),
        *before, call);
  }
  const unsigned char* const after =
      FindOther(header.object_end(), header.slot_end(), kRedZoneByte);
  if (after != header.slot_end()) {
    AbortOnMisuse(
        "arena '%s': byte %td of the %zu-byte object at %p, behind its end, was overwritten "
        "(0x%02x); "
        "found by %s",
        arena_name_, after - header.object, header.bytes, static_cast<void*>(header.object), *after,
        call);
  }
}

bool ArenaChecker::IsNewest(const void* p, size_t bytes) const noexcept {
  if (newest_ == nullptr) return false;
  MarkReadable(newest_, sizeof(Header));
  const bool is_newest = newest_->object == p && newest_->bytes == bytes;
  MarkFree(newest_, sizeof(Header));
  return is_newest;
}

void* ArenaChecker::NewestSlot() const noexcept {
  MarkReadable(newest_, sizeof(Header));
  void* const slot = newest_->slot;
  MarkFree(newest_, sizeof(Header));
  return slot;
}

void ArenaChecker::Relay(size_t new_bytes) noexcept {
  Header& header = *newest_;
  MarkReadable(&header, sizeof(Header));
  Verify(header, "a resize");
  unsigned char* const old_end = header.object + header.bytes;
  const size_t old_slot_bytes = SlotBytes(header.bytes, header.alignment);
  const size_t new_slot_bytes = SlotBytes(new_bytes, header.alignment);
  const size_t both = std::max(old_slot_bytes, new_slot_bytes);
  unsigned char* const new_end = header.object + new_bytes;
  MarkReadable(old_end, static_cast<size_t>(header.slot + both - old_end));
  if (new_bytes > header.bytes) {
    std::memset(old_end, kNewByte, new_bytes - header.bytes);
    MarkAllocated(old_end, new_bytes - header.bytes);
  } else {
    MarkReadable(new_end, header.bytes - new_bytes);
  }
  unsigned char* const slot_end = header.slot + new_slot_bytes;
  std::memset(new_end, kRedZoneByte, static_cast<size_t>(slot_end - new_end));
  MarkFree(new_end, static_cast<size_t>(slot_end - new_end));
  if (old_slot_bytes > new_slot_bytes) Fresh(slot_end, old_slot_bytes - new_slot_bytes);
  header.bytes = new_bytes;
  MarkFree(&header, sizeof(Header));
}

void ArenaChecker::Unlay(const void* oldest_to_keep, const char* call) noexcept {
  while (newest_ != nullptr && newest_ != oldest_to_keep) {
    Header* const header = newest_;
    MarkReadable(header, sizeof(Header));
    Verify(*header, call);
    newest_ = header->older;
    unsigned char* const slot = header->slot;
    const size_t slot_bytes = SlotBytes(header->bytes, header->alignment);
    MarkReadable(slot, slot_bytes);
    Fresh(slot, slot_bytes);
  }
  if (newest_ == nullptr) oldest_ = nullptr;
}

void ArenaChecker::Absorb(ArenaChecker& other) noexcept {
  if (other.newest_ == nullptr) return;
  MarkReadable(other.oldest_, sizeof(Header));
  other.oldest_->older = newest_;
  MarkFree(other.oldest_, sizeof(Header));
  if (newest_ == nullptr) oldest_ = other.oldest_;
  newest_ = other.newest_;
  other.newest_ = nullptr;
  other.oldest_ = nullptr;
}

void ArenaChecker::CheckOwner(const char* call) noexcept {
  const auto self = static_cast<uint64_t>(pthread_self());
  if (owner_ == 0) owner_ = self;
  if (owner_ != self) {
    AbortOnMisuse(
        "arena '%s': %s on thread 0x%llx, but the arena belongs to thread 0x%llx (hand it over "
        "with "
        "DisownThread)",
        arena_name_, call, static_cast<unsigned long long>(self),
        static_cast<unsigned long long>(owner_));
  }
}

uint64_t ArenaChecker::PushMark() {
  marks_.push_back(++last_serial_);
  return last_serial_;
}

void ArenaChecker::RewindToMark(uint64_t serial, bool drop) noexcept {
  const auto mark = std::lower_bound(marks_.begin(), marks_.end(), serial);
  if (mark == marks_.end() || *mark != serial) {
    AbortOnMisuse(
        "arena '%s': a rewind to mark %llu, which is dead: a reset, or a rewind to an older mark, "
        "came "
        "before; marks must be nested",
        arena_name_, static_cast<unsigned long long>(serial));
  }
  marks_.erase(mark + (drop ? 0 : 1), marks_.end());
}

}  // namespace granary
