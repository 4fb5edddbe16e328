#include "pool/testing/interleaving.h"

#include <deque>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

namespace granary::testing {

namespace {

// A thread that has gone on for so long waits for another one.
constexpr int kStepsAlone = 30;

// A decision between threads, and how far its alternatives have been tried.
struct Choice {
  std::vector<int> threads;
  size_t taken = 0;
};

class Explorer {
 public:
  explicit Explorer(const Interleaving::Options& options) : options_(options) {}

  // The threads of one order, one at a time. `choices_` says how the order begins; where it ends
  // the first alternatives are taken, and noted.
  void RunOnce(const std::function<void(int)>& body) {
    threads_.clear();
    next_choice_ = 0;
    interruptions_ = 0;
    alone_ = 0;
    for (int i = 0; i < options_.threads; ++i) threads_.push_back(std::make_unique<Thread>());
    std::vector<std::thread> running;
    for (int i = 0; i < options_.threads; ++i) {
      running.emplace_back([this, i, &body] {
        current = this;
        threads_[static_cast<size_t>(i)]->may_run.acquire();
        body(i);
        Flush(i);
        threads_[static_cast<size_t>(i)]->ended = true;
        current = nullptr;
        SwitchFrom(i, /*must=*/true);
      });
    }
    SwitchFrom(-1, /*must=*/true);
    all_ended_.acquire();
    for (std::thread& thread : running) thread.join();
  }

  // Sets `choices_` to the beginning of an order that was not tried; false if there is none.
  bool Advance() {
    while (!choices_.empty()) {
      Choice& last = choices_.back();
      if (++last.taken < last.threads.size()) return true;
      choices_.pop_back();
    }
    return false;
  }

  void Step() { SwitchFrom(running_, /*must=*/false); }

  uint64_t Load(const StepWord& word) {
    Step();
    const auto& stores = threads_[static_cast<size_t>(running_)]->stores;
    for (auto store = stores.rbegin(); store != stores.rend(); ++store) {
      if (store->word == &word) return store->value;
    }
    return word.value;
  }

  void Store(StepWord& word, uint64_t value) {
    Step();
    if (options_.stores_are_delayed) {
      threads_[static_cast<size_t>(running_)]->stores.push_back({&word, value});
    } else {
      word.value = value;
    }
  }

  void FlushOwn() { Flush(running_); }
  void FlushAll() {
    for (int i = 0; i < options_.threads; ++i) Flush(i);
  }

  static thread_local Explorer* current;

 private:
  struct DelayedStore {
    StepWord* word;
    uint64_t value;
  };
  struct Thread {
    std::binary_semaphore may_run{0};
    bool ended = false;
    std::deque<DelayedStore> stores;
  };

  void Flush(int thread) {
    for (const DelayedStore& store : threads_[static_cast<size_t>(thread)]->stores) {
      store.word->value = store.value;
    }
    threads_[static_cast<size_t>(thread)]->stores.clear();
  }

  // Lets a thread go on, `from` or another one, and returns when `from` is let.
  void SwitchFrom(int from, bool must) {
    Choice possible;
    const bool forced = !must && ++alone_ > kStepsAlone;
    if (!must && !forced) possible.threads.push_back(from);
    if (must || forced || interruptions_ < options_.interruptions_max) {
      for (int i = 0; i < options_.threads; ++i) {
        if (i != from && !threads_[static_cast<size_t>(i)]->ended) possible.threads.push_back(i);
      }
    }
    if (possible.threads.empty()) {
      if (!must) return;
      all_ended_.release();
      return;
    }
    if (next_choice_ == choices_.size()) choices_.push_back(possible);
    const Choice& choice = choices_[next_choice_++];
    const int to = choice.threads[choice.taken];
    if (to == from) return;
    if (!must && !forced) ++interruptions_;
    alone_ = 0;
    running_ = to;
    threads_[static_cast<size_t>(to)]->may_run.release();
    if (!must) threads_[static_cast<size_t>(from)]->may_run.acquire();
  }

  const Interleaving::Options options_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Choice> choices_;
  size_t next_choice_ = 0;
  int interruptions_ = 0;
  int alone_ = 0;
  int running_ = -1;
  std::binary_semaphore all_ended_{0};
};

thread_local Explorer* Explorer::current = nullptr;

}  // namespace

uint64_t Interleaving::Load(const StepWord& word) {
  return Explorer::current == nullptr ? word.value : Explorer::current->Load(word);
}

void Interleaving::Store(StepWord& word, uint64_t value) {
  if (Explorer::current == nullptr) {
    word.value = value;
  } else {
    Explorer::current->Store(word, value);
  }
}

void Interleaving::BeginReadModifyWrite() {
  if (Explorer::current == nullptr) return;
  Explorer::current->Step();
  Explorer::current->FlushOwn();
}

void Interleaving::ProcessFence() {
  if (Explorer::current == nullptr) return;
  Explorer::current->Step();
  Explorer::current->FlushAll();
}

size_t Interleaving::ExploreRuns(const Options& options, const std::function<Run()>& make) {
  Explorer explorer(options);
  size_t orders = 0;
  do {
    const Run run = make();
    explorer.RunOnce(run.body);
    ++orders;
    if (!run.check()) break;
  } while (explorer.Advance());
  return orders;
}

}  // namespace granary::testing
