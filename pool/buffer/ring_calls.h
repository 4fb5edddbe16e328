// RingCalls: the seam through which UringPageStore speaks to io_uring. Internal to pool/buffer.
//
// A test derives from it to make the nth call fail, or to stand in for a kernel that lacks
// something. Every function answers as liburing's of its name does: a negative errno on error.
// Threading: any thread may call the real one, for rings that nobody else uses meanwhile.
#ifndef GRANARY_POOL_BUFFER_RING_CALLS_H_
#define GRANARY_POOL_BUFFER_RING_CALLS_H_

#include <liburing.h>
#include <sys/uio.h>

namespace granary {

class RingCalls {
 public:
  virtual ~RingCalls() = default;

  // The real ones. Never destroyed.
  static RingCalls& Real() noexcept;

  // io_uring_queue_init.
  virtual int Init(unsigned entries, io_uring* ring, unsigned flags) noexcept;
  // io_uring_queue_exit.
  virtual void Exit(io_uring* ring) noexcept;
  // Whether the kernel reads and writes without vectors, which is since 5.6; or an error.
  virtual int HasReadAndWrite(io_uring* ring) noexcept;
  virtual int RegisterFile(io_uring* ring, int file) noexcept;
  virtual int RegisterBuffers(io_uring* ring, const iovec* buffers, unsigned count) noexcept;
  virtual int UnregisterBuffers(io_uring* ring) noexcept;
  // io_uring_submit_and_wait, for so many completions.
  virtual int SubmitAndWait(io_uring* ring, unsigned completions) noexcept;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_RING_CALLS_H_
