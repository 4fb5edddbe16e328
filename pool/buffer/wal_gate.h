// WalGate: what a buffer pool has to know of the write-ahead log.
//
// A page may reach its file when what the log says of it is durable: with a crash between the two
// the page would have a change that the log cannot undo or know.
#ifndef GRANARY_POOL_BUFFER_WAL_GATE_H_
#define GRANARY_POOL_BUFFER_WAL_GATE_H_

#include "memory/error.h"
#include "pool/buffer/page_types.h"

namespace granary {

// Any thread may call both at any time.
class WalGate {
 public:
  virtual ~WalGate() = default;

  // All of the log up to this, and with it, is durable. Never less than it was; a load or two.
  virtual Lsn Flushed() const noexcept = 0;

  // Returns when Flushed() is at least `lsn`, or with the reason why it will not be. Called by
  // whoever writes pages back, one thread at a time, also by one that needs a frame and has other
  // pages latched: it fixes no page of the pool.
  virtual Expected<void> FlushTo(Lsn lsn) = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_WAL_GATE_H_
