#include "bench/report/progress.h"

#include <unistd.h>

#include <cstdio>

namespace granary::bench {

Progress::Progress() : is_terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { Erase(); }

void Progress::Show(const std::string& what) {
  const auto now = Clock::now();
  const auto pause = is_terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(10);
  // The first one waits as well: a short run says nothing that nobody needs.
  if (now - last_shown_ < pause || (!is_terminal_ && now - begin_ < pause)) {
    return;
  }
  last_shown_ = now;
  if (is_terminal_) {
    std::fprintf(stderr, "\r\033[K%s", what.c_str());
    std::fflush(stderr);
    line_open_ = true;
  } else {
    std::fprintf(stderr, "%s\n", what.c_str());
  }
}

void Progress::Say(const std::string& line) {
  Erase();
  std::fprintf(stderr, "%s\n", line.c_str());
}

double Progress::elapsed_seconds() const {
  return std::chrono::duration<double>(Clock::now() - begin_).count();
}

void Progress::Erase() {
  if (line_open_) {
    std::fprintf(stderr, "\r\033[K");
    std::fflush(stderr);
    line_open_ = false;
  }
}

}  // namespace granary::bench
