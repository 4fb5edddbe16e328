#include "memory/owner_gate.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory/misuse.h"

namespace granary {

namespace {

bool Register() noexcept {
  return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
         syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

}  // namespace

bool ProcessFence::Available() noexcept {
  static const bool available = Register();
  return available;
}

void ProcessFence::RegisterAgain() noexcept {
  if (Available()) Register();
}

void ProcessFence::Heavy() noexcept {
  if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0) {
    // It worked when the process registered; to go on without it would be to hand pages out twice.
    AbortOnMisuse("membarrier(2) has been taken away from the running process");
  }
}

}  // namespace granary
