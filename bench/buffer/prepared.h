// What a benchmark runs on, kept from one call of it to the next.
#ifndef GRANARY_BENCH_BUFFER_PREPARED_H_
#define GRANARY_BENCH_BUFFER_PREPARED_H_

#include <memory>
#include <string>
#include <utility>

namespace granary::bench {

// The library calls a benchmark again and again until it knows how often to run it, and filling a
// pool takes longer than many a run. One thing is kept: they are large.
class Prepared {
 public:
  // What `make` makes, a std::unique_ptr<T>, or what it made the last time if that was for the same
  // key. A key is for one T.
  template <class T, class Make>
  static T& Get(const std::string& key, const Make& make) {
    Kept& kept = TheKept();
    if (kept.key != key) {
      kept.thing.reset();
      kept.thing = std::shared_ptr<void>(make());
      kept.key = key;
    }
    return *static_cast<T*>(kept.thing.get());
  }

  // Lets it go, before the program's end.
  static void Forget() { TheKept() = {}; }

 private:
  struct Kept {
    std::string key;
    std::shared_ptr<void> thing;
  };
  static Kept& TheKept() {
    static Kept kept;
    return kept;
  }
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_PREPARED_H_
