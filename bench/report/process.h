// Runs another program to its end and keeps what it said.
#ifndef GRANARY_BENCH_REPORT_PROCESS_H_
#define GRANARY_BENCH_REPORT_PROCESS_H_

#include <string>
#include <vector>

namespace granary::bench {

struct ProcessEnd {
  enum class Kind {
    kExited,       // `status` is its exit status.
    kSignalled,    // `status` is the signal that ended it.
    kTimedOut,     // It was killed, as it took longer than it may.
    kInterrupted,  // It was killed, as a person wishes to stop (interrupt.h).
    kNotStarted,   // `status` is the errno of what failed.
  };
  Kind kind = Kind::kNotStarted;
  int status = 0;
  std::string out;
  // Its last 64 KiB.
  std::string err;

  bool ok() const { return kind == Kind::kExited && status == 0; }
  // `ended with exit status 7; its last lines: ...`: in one line.
  std::string Describe() const;
};

// `command[0]` is a path, or a name to be looked for in PATH. The child has no input, is the leader
// of a process group of its own, and does not outlive this process.
ProcessEnd RunProcess(const std::vector<std::string>& command, double seconds_max);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_PROCESS_H_
