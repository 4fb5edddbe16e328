// PinLedger: who has pages pinned, and where in the source each pin was taken.
//
// For finding out who forgot a page, and whom a pool waits for whose frames are all pinned. A lock
// and a look-up at every pin: for builds that check, and for engines that ask for it.
//
// Threading. Any thread.
#ifndef GRANARY_POOL_BUFFER_PIN_LEDGER_H_
#define GRANARY_POOL_BUFFER_PIN_LEDGER_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "pool/buffer/page_types.h"
#include "pool/call_site.h"

namespace granary {

// A pin of a moment.
struct PinRecord {
  PageId page;
  bool is_exclusive = false;
  // Of the fix, or of the upgrade.
  CallSite site;
  // As gettid has it.
  int64_t thread = 0;
};

namespace buffer {

class PinLedger {
 public:
  // A number for the pin, not 0; 0 if there is no memory to remember it with.
  uint64_t Add(PageId page, bool is_exclusive, CallSite site) noexcept;
  void Change(uint64_t pin, bool is_exclusive, CallSite site) noexcept;
  void Remove(uint64_t pin) noexcept;

  // In the order in which they were taken. Throws std::bad_alloc.
  std::vector<PinRecord> Pins() const;

 private:
  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  std::unordered_map<uint64_t, PinRecord> pins_;
};

// "page 7 of file 0, exclusively, by thread 123 since btree.cc:88; ...", of the first few.
std::string Describe(const std::vector<PinRecord>& pins);

}  // namespace buffer
}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_PIN_LEDGER_H_
