// Translation: where the entry of a page is, as the paths see it that are no hits.
//
// A pool's hits know which translation it has and find entries inline (BasicBufferPool); all else
// goes through this. An entry that is found may be pinned, taken or waited for as long as the
// thread is inside of the pool's FixSections, or has the page latched, or holds the entry.
//
// It may be another page's by then, with some translations, if nobody holds it for the page it was
// found for. So who finds an entry asks IsEntryOf() before he believes what it says: behind the pin
// or the claim, and undoes that if it is not; or between the load of a state and what takes the
// page only as it was then. What is done to another page's entry for a moment does no harm: pins
// may be there in every state, a claim is let go at once, and a mark for waiters costs a wake.
#ifndef GRANARY_POOL_BUFFER_TRANSLATION_H_
#define GRANARY_POOL_BUFFER_TRANSLATION_H_

#include <cstddef>
#include <cstdint>

#include "memory/error.h"
#include "pool/buffer/page_entry.h"
#include "pool/buffer/page_types.h"

namespace granary {
class MemoryBudget;
class SystemCalls;
}  // namespace granary

namespace granary::buffer {

class FixSections;

// What translations are made from.
struct TranslationOptions {
  // At most kFilesMax.
  uint32_t files_max = 1024;
  // How many pages are to be resident at once; more may come.
  size_t frames = 1024;
  // Charged for entries that have memory; outlives the translation. nullptr for none.
  MemoryBudget* budget = nullptr;
  // nullptr for the real ones.
  SystemCalls* system_calls = nullptr;
};

class Translation {
 public:
  virtual ~Translation() = default;

  Translation(const Translation&) = delete;
  Translation& operator=(const Translation&) = delete;

  // Room for the first `pages` pages of a file. kInvalidArgument for a file that is there or is
  // beyond what there may be, kOutOfMemory.
  virtual Expected<void> AddFile(FileId file, uint64_t pages) = 0;
  // None of its pages is resident, and none is asked for any more. False if a thread is inside of
  // `sections`, and then nothing has changed.
  virtual bool RemoveFile(FileId file, FixSections& sections) noexcept = 0;
  // How many pages of a file there may be; 0 for a file that is not there.
  virtual uint64_t PagesOf(FileId file) const noexcept = 0;

  // The entry if there is one now, otherwise nullptr. Inside of the sections.
  virtual PageEntry* FindEntry(PageId id) const noexcept = 0;
  // Whether an entry that was found for the page is still the page's.
  virtual bool IsEntryOf(const PageEntry& entry, PageId id) const noexcept = 0;

  // An entry that stays until LetGo, of a page that PagesOf has; nullptr if no memory is free,
  // which nobody is asked to release, or there is no room. Each resident page, and each that is
  // being brought, is held once.
  virtual PageEntry* Hold(PageId id) noexcept = 0;
  virtual void LetGo(PageId id) noexcept = 0;

  // Gives memory of entries that nobody holds back to the system; returns bytes.
  virtual size_t GiveBackEmpty(FixSections& sections) noexcept = 0;
  // The memory that one more entry may need.
  virtual size_t step_bytes() const noexcept = 0;
  // The memory that entries have now.
  virtual size_t held_bytes() const noexcept = 0;
  // At most so much of it would go back now: what nobody held when it was listed for that, whether
  // somebody has taken it again since or not.
  virtual size_t empty_bytes() const noexcept = 0;

 protected:
  Translation() noexcept = default;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_TRANSLATION_H_
