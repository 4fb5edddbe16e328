// TestLog: a write-ahead log without records, for tests that change pages.
#ifndef GRANARY_POOL_BUFFER_TESTING_TEST_LOG_H_
#define GRANARY_POOL_BUFFER_TESTING_TEST_LOG_H_

#include <atomic>

#include "memory/error.h"
#include "pool/buffer/page_types.h"
#include "pool/buffer/wal_gate.h"

namespace granary {

// Durable as far as it was flushed to. From any thread.
class TestLog final : public WalGate {
 public:
  // Of the next change.
  Lsn Next() noexcept { return last_.fetch_add(1) + 1; }

  Lsn Flushed() const noexcept override { return flushed_.load(); }
  Expected<void> FlushTo(Lsn lsn) override {
    if (fails) return tl::unexpected(Error{.code = ErrorCode::kIo, .message = "the log is full"});
    Lsn flushed = flushed_.load();
    while (flushed < lsn && !flushed_.compare_exchange_weak(flushed, lsn)) {
    }
    return {};
  }

  // Nothing more becomes durable.
  std::atomic<bool> fails = false;

 private:
  std::atomic<Lsn> last_ = 0;
  std::atomic<Lsn> flushed_ = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_TESTING_TEST_LOG_H_
