#include "pool/buffer/ring_calls.h"

#include <cerrno>
#include <cstddef>
#include <new>

namespace granary {

RingCalls& RingCalls::Real() noexcept {
  alignas(RingCalls) static std::byte storage[sizeof(RingCalls)];
  static RingCalls* const real = new (storage) RingCalls;
  return *real;
}

int RingCalls::Init(unsigned entries, io_uring* ring, unsigned flags) noexcept {
  return ::io_uring_queue_init(entries, ring, flags);
}

void RingCalls::Exit(io_uring* ring) noexcept { ::io_uring_queue_exit(ring); }

int RingCalls::HasReadAndWrite(io_uring* ring) noexcept {
  io_uring_probe* const probe = ::io_uring_get_probe_ring(ring);
  if (probe == nullptr) return -EINVAL;
  const bool has = ::io_uring_opcode_supported(probe, IORING_OP_READ) != 0 &&
                   ::io_uring_opcode_supported(probe, IORING_OP_WRITE) != 0;
  ::io_uring_free_probe(probe);
  return has ? 1 : 0;
}

int RingCalls::RegisterFile(io_uring* ring, int file) noexcept {
  return ::io_uring_register_files(ring, &file, 1);
}

int RingCalls::RegisterBuffers(io_uring* ring, const iovec* buffers, unsigned count) noexcept {
  return ::io_uring_register_buffers(ring, buffers, count);
}

int RingCalls::UnregisterBuffers(io_uring* ring) noexcept {
  return ::io_uring_unregister_buffers(ring);
}

int RingCalls::SubmitAndWait(io_uring* ring, unsigned completions) noexcept {
  return ::io_uring_submit_and_wait(ring, completions);
}

}  // namespace granary
