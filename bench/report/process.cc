#include "bench/report/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "bench/report/interrupt.h"

namespace granary::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = ProcessEnd::Kind;

constexpr size_t kErrBytesMax = 64 << 10;

struct Pipe {
  int read = -1;
  int write = -1;

  bool Open() {
    std::array<int, 2> ends;
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      return false;
    }
    read = ends[0];
    write = ends[1];
    return true;
  }

  static void Close(int& fd) {
    if (fd >= 0) {
      close(fd);
      fd = -1;
    }
  }

  ~Pipe() {
    Close(read);
    Close(write);
  }
};

// In the child, between fork and exec: nothing here may allocate.
[[noreturn]] void Exec(char* const* arguments, const Pipe& out, const Pipe& err, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(127);
  }
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(nothing, STDIN_FILENO);
  dup2(out.write, STDOUT_FILENO);
  dup2(err.write, STDERR_FILENO);
  execvp(arguments[0], arguments);
  dprintf(STDERR_FILENO, "cannot be executed: %s\n", strerror(errno));
  _exit(127);
}

// False at the end of the stream.
bool ReadSome(int fd, std::string& text) {
  std::array<char, 16 << 10> buffer;
  const ssize_t bytes = read(fd, buffer.data(), buffer.size());
  if (bytes > 0) {
    text.append(buffer.data(), static_cast<size_t>(bytes));
  }
  return bytes > 0 || (bytes < 0 && (errno == EINTR || errno == EAGAIN));
}

// Reads until the child has closed both pipes. Returns why it stopped, kExited if nothing is wrong.
Kind ReadAll(Pipe& out, Pipe& err, Clock::time_point deadline, ProcessEnd& end) {
  while (out.read >= 0 || err.read >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      return Kind::kTimedOut;
    }
    std::array<pollfd, 3> fds = {pollfd{out.read, POLLIN, 0}, pollfd{err.read, POLLIN, 0},
                                 pollfd{InterruptFd(), POLLIN, 0}};
    const int ready = poll(fds.data(), fds.size(), static_cast<int>(std::min<int64_t>(left, 1000)));
    if (InterruptSignal() != 0) {
      return Kind::kInterrupted;
    }
    if (ready <= 0) {
      continue;
    }
    if (fds[0].revents != 0 && !ReadSome(out.read, end.out)) {
      Pipe::Close(out.read);
    }
    if (fds[1].revents != 0 && !ReadSome(err.read, end.err)) {
      Pipe::Close(err.read);
    }
    if (end.err.size() > 2 * kErrBytesMax) {
      end.err.erase(0, end.err.size() - kErrBytesMax);
    }
  }
  return Kind::kExited;
}

std::string LastLines(std::string_view text, size_t count) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t begin = text.find_last_of('\n') + 1;
    if (begin < text.size()) {
      lines.push_back(text.substr(begin));
    }
    if (begin == 0 || lines.size() == count) {
      break;
    }
    text = text.substr(0, begin - 1);
  }
  std::ranges::reverse(lines);
  return fmt::format("{}", fmt::join(lines, " | "));
}

}  // namespace

std::string ProcessEnd::Describe() const {
  std::string what;
  switch (kind) {
    case Kind::kExited:
      what = fmt::format("ended with exit status {}", status);
      break;
    case Kind::kSignalled:
      what = fmt::format("was ended by signal {} ({})", status, strsignal(status));
      break;
    case Kind::kTimedOut:
      what = "took too long and was killed";
      break;
    case Kind::kInterrupted:
      what = "was interrupted";
      break;
    case Kind::kNotStarted:
      return fmt::format("could not be started: {}", strerror(status));
  }
  const std::string lines = LastLines(err, 3);
  return what + (lines.empty() ? "" : "; its last lines: " + lines);
}

ProcessEnd RunProcess(const std::vector<std::string>& command, double seconds_max) {
  ProcessEnd end;
  if (InterruptSignal() != 0) {
    end.kind = Kind::kInterrupted;
    return end;
  }
  Pipe out;
  Pipe err;
  if (!out.Open() || !err.Open()) {
    end.status = errno;
    return end;
  }
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    end.status = errno;
    return end;
  }
  if (child == 0) {
    Exec(arguments.data(), out, err, parent);
  }
  // Both sides do this, so that it is done whoever comes first.
  setpgid(child, child);
  Pipe::Close(out.write);
  Pipe::Close(err.write);

  const auto deadline =
      Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(seconds_max * 1e3));
  end.kind = ReadAll(out, err, deadline, end);
  if (end.kind != Kind::kExited) {
    kill(-child, SIGKILL);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (end.kind == Kind::kExited) {
    end.kind = WIFSIGNALED(status) ? Kind::kSignalled : Kind::kExited;
    end.status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  }
  return end;
}

}  // namespace granary::bench
