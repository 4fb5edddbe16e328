#include "bench/buffer/bare_rings.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bench/program.h"

namespace granary::bench {
namespace {

// What the device gets together, as granary's own ring has it: it begins with these while the next
// are made.
constexpr unsigned kSubmitAtOnce = 4;

}  // namespace

BareRings::BareRings(const std::string& path, size_t threads, size_t frames, unsigned depth)
    : depth_(depth), descriptor_(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC)) {
  if (descriptor_ < 0) {
    why_skipped_ = path + ": " + std::strerror(errno);
    return;
  }
  for (size_t thread = 0; thread < threads; ++thread) {
    Ring& its = *rings_.emplace_back(std::make_unique<Ring>(frames / threads));
    const int made = ::io_uring_queue_init(depth_, &its.ring, IORING_SETUP_COOP_TASKRUN);
    if (made < 0) {
      why_skipped_ = std::string("io_uring: ") + std::strerror(-made);
      return;
    }
    its.is_made = true;
  }
}

BareRings::~BareRings() {
  for (const auto& its : rings_) {
    if (its->is_made) ::io_uring_queue_exit(&its->ring);
  }
  if (descriptor_ >= 0) ::close(descriptor_);
}

uint64_t BareRings::ReadAll(std::span<const uint32_t> pages) {
  for (const auto& its : rings_) {
    const std::unique_lock lock(its->mutex, std::try_to_lock);
    if (lock.owns_lock()) return ReadBy(*its, pages);
  }
  Die("there are more threads than rings");
}

void BareRings::Submit(io_uring& ring, unsigned completions) {
  const int result = ::io_uring_submit_and_wait(&ring, completions);
  if (result < 0 && result != -EINTR) Die(std::string("io_uring: ") + std::strerror(-result));
}

uint64_t BareRings::ReadBy(Ring& its, std::span<const uint32_t> pages) const {
  uint64_t words = 0;
  size_t begun = 0;
  size_t done = 0;
  while (done < pages.size()) {
    while (begun < pages.size() && begun - done < depth_) {
      io_uring_sqe* const entry = ::io_uring_get_sqe(&its.ring);
      ::io_uring_prep_read(entry, descriptor_, its.memory.At(begun % its.memory.count()),
                           static_cast<unsigned>(kPageBytes), pages[begun] * kPageBytes);
      entry->user_data = begun++;
      if (::io_uring_sq_ready(&its.ring) == kSubmitAtOnce) Submit(its.ring, 0);
    }
    Submit(its.ring, 1);
    io_uring_cqe* completion = nullptr;
    while (::io_uring_peek_cqe(&its.ring, &completion) == 0) {
      const size_t which = completion->user_data;
      if (completion->res != static_cast<int>(kPageBytes)) {
        Die("page " + std::to_string(pages[which]) + " cannot be read");
      }
      ::io_uring_cqe_seen(&its.ring, completion);
      words += ReadWord(its.memory.At(which % its.memory.count()), pages[which]);
      ++done;
    }
  }
  return words;
}

}  // namespace granary::bench
