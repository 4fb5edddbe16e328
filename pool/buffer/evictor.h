// Evictor: the thread that writes and evicts ahead of need. Internal to pool/buffer.
#ifndef GRANARY_POOL_BUFFER_EVICTOR_H_
#define GRANARY_POOL_BUFFER_EVICTOR_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace granary::buffer {

class Evictor {
 public:
  // `work` does a bounded piece and returns whether there is more to do; a piece that could do
  // nothing is followed by a pause.
  enum class Outcome : uint8_t { kMore, kStuck, kDone };
  // Throws std::system_error if there is no thread.
  explicit Evictor(std::function<Outcome()> work)
      : work_(std::move(work)), thread_([this] { Run(); }) {}
  ~Evictor() {
    {
      const std::scoped_lock lock(mutex_);
      ends_ = true;
    }
    called_.notify_one();
    thread_.join();
  }

  Evictor(const Evictor&) = delete;
  Evictor& operator=(const Evictor&) = delete;

  // There is work. A load, if it is at work already.
  void Call() noexcept {
    if (is_called_.load(std::memory_order_relaxed)) return;
    {
      const std::scoped_lock lock(mutex_);
      is_called_.store(true, std::memory_order_relaxed);
    }
    called_.notify_one();
  }

 private:
  static constexpr auto kPause = std::chrono::milliseconds(1);

  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      called_.wait(lock, [&] { return ends_ || is_called_.load(std::memory_order_relaxed); });
      if (ends_) return;
      lock.unlock();
      const Outcome outcome = work_();
      lock.lock();
      if (outcome == Outcome::kDone) is_called_.store(false, std::memory_order_relaxed);
      if (outcome == Outcome::kStuck) called_.wait_for(lock, kPause, [&] { return ends_; });
    }
  }

  const std::function<Outcome()> work_;
  std::mutex mutex_;
  std::condition_variable called_;
  std::atomic<bool> is_called_ = false;
  bool ends_ = false;
  // Last: it uses the rest.
  std::thread thread_;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_EVICTOR_H_
