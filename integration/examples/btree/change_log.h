// ChangeLog: what the tree tells an engine's write-ahead log of its changes.
#ifndef GRANARY_INTEGRATION_EXAMPLES_BTREE_CHANGE_LOG_H_
#define GRANARY_INTEGRATION_EXAMPLES_BTREE_CHANGE_LOG_H_

#include <span>

#include "pool/buffer/page_guard.h"

namespace granary::btree {

// Any thread may call it at any time, with pages latched: it waits for no page.
class ChangeLog {
 public:
  virtual ~ChangeLog() = default;

  // These pages have been changed, together: recovery has to restore all of them or none. They are
  // as they are to be, and latched until this has returned. Writes a record of them (their bytes,
  // or how they differ from the ones before), and calls MarkDirty of each with the record's LSN
  // before the log may be durable up to that. A log that cannot be written says so in FlushTo of
  // its WalGate, and then none of these pages reaches the file.
  virtual void Append(std::span<ExclusivePage* const> pages) noexcept = 0;
};

}  // namespace granary::btree

#endif  // GRANARY_INTEGRATION_EXAMPLES_BTREE_CHANGE_LOG_H_
