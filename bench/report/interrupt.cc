#include "bench/report/interrupt.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <initializer_list>

namespace granary::bench {
namespace {

volatile sig_atomic_t first_signal = 0;
volatile sig_atomic_t event_fd = -1;

void OnSignal(int signal) {
  if (first_signal != 0) {
    return;
  }
  first_signal = signal;
  const int saved_errno = errno;
  const uint64_t one = 1;
  // Only a full counter can make the write fail, and then poll() wakes up anyway.
  [[maybe_unused]] const ssize_t written = write(event_fd, &one, sizeof one);
  errno = saved_errno;
}

}  // namespace

void CatchInterrupts() {
  event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    sigaction(signal, &action, nullptr);
  }
}

int InterruptSignal() { return first_signal; }

int InterruptFd() { return event_fd; }

}  // namespace granary::bench
