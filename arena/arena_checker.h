// ArenaChecker: what an arena under Checks::kOn does around every object.
//
// Memory that belongs to nobody carries one byte pattern. An object stands in a slot of its own,
//
//   | left red zone | header | object | right red zone |
//
// and the slots are linked from the newest to the oldest. When a slot is laid, the memory is
// verified to carry the pattern: if it does not, somebody wrote behind a reset, a rewind or an
// object. When a slot goes, its red zones are verified and it is filled with the pattern again.
// Where a sanitizer is on, free memory, headers and red zones are closed to every access as well,
// and a read is found too.
#ifndef GRANARY_ARENA_ARENA_CHECKER_H_
#define GRANARY_ARENA_ARENA_CHECKER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace granary {

// One thread at a time, as its arena. All of it costs time in proportion to the bytes concerned.
// What it finds it reports through AbortOnMisuse.
class ArenaChecker {
 public:
  explicit ArenaChecker(const char* arena_name) noexcept : arena_name_(arena_name) {}

  // The size and alignment of the slot of an object. The size saturates at SIZE_MAX.
  static size_t SlotBytes(size_t bytes, size_t alignment) noexcept;
  static size_t SlotAlignment(size_t alignment) noexcept;

  // Fills and closes memory that has come from upstream; opens memory that returns there.
  static void Fresh(void* p, size_t bytes) noexcept;
  static void Stale(void* p, size_t bytes) noexcept;

  // Lays a slot of SlotBytes at `slot` and returns the object. An object of alignment 1 ends
  // exactly at the right red zone and begins anywhere, others begin at their alignment.
  void* Lay(void* slot, size_t bytes, size_t alignment) noexcept;

  // Identifies the newest slot; nullptr if there is none.
  const void* newest() const noexcept { return newest_; }
  // Whether `p` is the newest object and of that size, and where its slot begins.
  bool IsNewest(const void* p, size_t bytes) const noexcept;
  void* NewestSlot() const noexcept;
  // The newest object stays where it is and takes a new size; its slot must have the room.
  void Relay(size_t new_bytes) noexcept;

  // Verifies, fills and closes every slot that is newer than `oldest_to_keep`, which newest() gave.
  void Unlay(const void* oldest_to_keep, const char* call) noexcept;

  // Takes over the slots of another arena, as the newest.
  void Absorb(ArenaChecker& other) noexcept;

  // Verifies that the calling thread is the owner: the first that comes after construction or
  // Disown.
  void CheckOwner(const char* call) noexcept;
  void Disown() noexcept { owner_ = 0; }

  // Marks have serial numbers. RewindToMark verifies that the mark lives and ends all younger ones,
  // and with `drop` the mark itself.
  uint64_t PushMark();
  void RewindToMark(uint64_t serial, bool drop) noexcept;
  void ForgetMarks() noexcept { marks_.clear(); }

 private:
  struct Header;

  void Verify(const Header& header, const char* call) const noexcept;

  const char* arena_name_;
  Header* newest_ = nullptr;
  Header* oldest_ = nullptr;
  uint64_t owner_ = 0;
  uint64_t last_serial_ = 0;
  // The serial numbers of the marks that live, ascending.
  std::vector<uint64_t> marks_;
};

}  // namespace granary

#endif  // GRANARY_ARENA_ARENA_CHECKER_H_
