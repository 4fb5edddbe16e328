// Says on stderr how far the run is: one line that changes on a terminal, a line now and then
// elsewhere.
#ifndef GRANARY_BENCH_REPORT_PROGRESS_H_
#define GRANARY_BENCH_REPORT_PROGRESS_H_

#include <chrono>
#include <string>

namespace granary::bench {

class Progress {
 public:
  Progress();
  // Leaves the terminal's line clean.
  ~Progress();

  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `what` is going on; shown at once on a terminal, every ten seconds elsewhere.
  void Show(const std::string& what);
  // A line that stays.
  void Say(const std::string& line);
  // Leaves the terminal's line clean for what somebody else has to say.
  void Clear() { Erase(); }

  double elapsed_seconds() const;

 private:
  using Clock = std::chrono::steady_clock;

  void Erase();

  const bool is_terminal_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_shown_;
  bool line_open_ = false;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_PROGRESS_H_
