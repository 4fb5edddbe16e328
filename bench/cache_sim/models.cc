#include "bench/cache_sim/models.h"

#include <algorithm>

namespace granary::bench {
namespace {

using granary::Access;

bool IsOnce(Access access) { return access == Access::kScan || access == Access::kOnce; }

// The pages that left, the last `length` of them. Those that came back count towards the length if
// `gaps_stay`.
class Ghosts {
 public:
  Ghosts(size_t length, bool gaps_stay) : length_(length), gaps_stay_(gaps_stay) {}

  void Push(PageKey page) {
    order_.push_back({page, ++departures_});
    where_[page] = std::prev(order_.end());
    while (!order_.empty() && IsTooMuch()) {
      where_.erase(order_.front().page);
      order_.pop_front();
    }
  }

  // How many departures ago the page left, which is forgotten.
  std::optional<uint64_t> Take(PageKey page) {
    const auto found = where_.find(page);
    if (found == where_.end()) return std::nullopt;
    const uint64_t age = departures_ - found->second->number + 1;
    order_.erase(found->second);
    where_.erase(found);
    return age;
  }

 private:
  struct Ghost {
    PageKey page;
    uint64_t number;
  };

  bool IsTooMuch() const {
    return gaps_stay_ ? departures_ - order_.front().number >= length_ : order_.size() > length_;
  }

  size_t length_;
  bool gaps_stay_;
  uint64_t departures_ = 0;
  std::list<Ghost> order_;
  std::unordered_map<PageKey, std::list<Ghost>::iterator> where_;
};

// Lists of pages, and where each page is.
class Model : public CacheUnderTest {
 public:
  std::optional<PageKey> driven_out() const override { return driven_out_; }

 protected:
  struct Page {
    PageKey key;
    int hits = 0;
    bool is_once = false;
  };
  using List = std::list<Page>;
  struct Place {
    List* list;
    List::iterator page;
  };

  explicit Model(size_t pages) : pages_max_(pages) {}

  bool is_full() const { return places_.size() >= pages_max_; }
  size_t pages_max() const { return pages_max_; }

  Place* Find(PageKey key) {
    driven_out_.reset();
    const auto found = places_.find(key);
    return found == places_.end() ? nullptr : &found->second;
  }

  void Add(List& list, Page page) {
    list.push_back(page);
    places_[page.key] = {&list, std::prev(list.end())};
  }

  // The page at the front of one goes to the end of the other, or of the same.
  void MoveFront(List& from, List& to) {
    places_[from.front().key].list = &to;
    to.splice(to.end(), from, from.begin());
  }

  Page DriveOutFront(List& list) {
    const Page page = list.front();
    list.pop_front();
    places_.erase(page.key);
    driven_out_ = page.key;
    return page;
  }

 private:
  size_t pages_max_;
  std::unordered_map<PageKey, Place> places_;
  std::optional<PageKey> driven_out_;
};

class LruModel final : public Model {
 public:
  explicit LruModel(size_t pages) : Model(pages) {}

  bool Access(PageKey key, granary::Access /*access*/) override {
    if (const Place* place = Find(key)) {
      list_.splice(list_.end(), list_, place->page);
      return true;
    }
    if (is_full()) DriveOutFront(list_);
    Add(list_, {.key = key});
    return false;
  }

 private:
  List list_;
};

class ClockModel final : public Model {
 public:
  explicit ClockModel(size_t pages) : Model(pages) {}

  bool Access(PageKey key, granary::Access /*access*/) override {
    if (const Place* place = Find(key)) {
      place->page->hits = 1;
      return true;
    }
    if (is_full()) {
      while (list_.front().hits != 0) {
        list_.front().hits = 0;
        MoveFront(list_, list_);
      }
      DriveOutFront(list_);
    }
    Add(list_, {.key = key});
    return false;
  }

 private:
  List list_;
};

class TwoQModel final : public Model {
 public:
  TwoQModel(size_t pages, bool gaps_stay)
      : Model(pages),
        is_published_(!gaps_stay),
        a1_max_(pages / 4),
        a1_out_(std::max<size_t>(1, pages / 2), gaps_stay) {}

  bool Access(PageKey key, granary::Access access) override {
    if (const Place* place = Find(key)) {
      if (place->list == &am_) am_.splice(am_.end(), am_, place->page);
      return true;
    }
    // The paper asks the ghosts first, which makes a difference of one page in ten thousand; the
    // pool has a frame before it knows what will be in it.
    bool was_here = is_published_ && a1_out_.Take(key).has_value();
    if (is_full()) {
      if (a1_in_.size() > a1_max_ || am_.empty()) {
        const Page page = DriveOutFront(a1_in_);
        if (!page.is_once) a1_out_.Push(page.key);
      } else {
        DriveOutFront(am_);
      }
    }
    if (!is_published_) was_here = a1_out_.Take(key).has_value();
    Add(was_here && !IsOnce(access) ? am_ : a1_in_, {.key = key, .is_once = IsOnce(access)});
    return false;
  }

 private:
  bool is_published_;
  size_t a1_max_;
  List a1_in_;
  List am_;
  Ghosts a1_out_;
};

// As published, or with a small queue that finds its own size.
class S3FifoModel final : public Model {
 public:
  S3FifoModel(size_t pages, bool adapts)
      : Model(pages),
        adapts_(adapts),
        near_(std::max<size_t>(1, pages / 20)),
        once_max_(std::max<size_t>(1, pages / 100)),
        // In quarters of a page.
        small_min_(std::max<size_t>(4, pages * 4 / 100)),
        small_max_(std::max(small_min_, pages * 4 * 90 / 100)),
        small_max_now_(std::clamp(pages * 4 / 10, small_min_, small_max_)),
        left_small_(adapts ? pages : pages * 9 / 10, adapts),
        left_main_(near_, true) {}

  bool Access(PageKey key, granary::Access access) override {
    if (const Place* place = Find(key)) {
      place->page->hits = std::min(place->page->hits + 1, 3);
      return true;
    }
    // As in TwoQModel.
    if (!adapts_) {
      const bool was_here = left_small_.Take(key).has_value();
      if (is_full()) DriveOut();
      Add(was_here ? main_ : small_, {.key = key});
      return false;
    }
    if (is_full()) DriveOut();
    const auto since_small = left_small_.Take(key);
    const auto since_main = left_main_.Take(key);
    if (IsOnce(access)) {
      Add(once_, {.key = key});
      return false;
    }
    if (since_small && *since_small <= near_) {
      small_max_now_ = std::min(small_max_now_ + 4, small_max_);
    }
    if (since_main) small_max_now_ = std::max(small_max_now_, small_min_ + 5) - 5;
    Add(since_small ? main_ : small_, {.key = key});
    return false;
  }

 private:
  void DriveOut() {
    for (;;) {
      if (once_.size() >= once_max_ || (small_.empty() && main_.empty())) {
        if (once_.front().hits < 2) {
          DriveOutFront(once_);
          return;
        }
        once_.front().hits = 0;
        MoveFront(once_, main_);
      } else if (small_.size() >= small_max_now_ / 4 || main_.empty()) {
        if (small_.front().hits < 2) {
          left_small_.Push(DriveOutFront(small_).key);
          return;
        }
        small_.front().hits = 0;
        MoveFront(small_, main_);
      } else {
        if (main_.front().hits == 0) {
          left_main_.Push(DriveOutFront(main_).key);
          return;
        }
        --main_.front().hits;
        MoveFront(main_, main_);
      }
    }
  }

  bool adapts_;
  size_t near_;
  size_t once_max_;
  size_t small_min_;
  size_t small_max_;
  size_t small_max_now_;
  List once_;
  List small_;
  List main_;
  Ghosts left_small_;
  Ghosts left_main_;
};

}  // namespace

std::unique_ptr<CacheUnderTest> MakeModel(EvictionKind kind, size_t pages) {
  switch (kind) {
    case EvictionKind::kS3Fifo:
      return std::make_unique<S3FifoModel>(pages, true);
    case EvictionKind::kTwoQ:
      return std::make_unique<TwoQModel>(pages, true);
    case EvictionKind::kClock:
      return std::make_unique<ClockModel>(pages);
    case EvictionKind::kLru:
      return std::make_unique<LruModel>(pages);
  }
  return nullptr;
}

std::unique_ptr<CacheUnderTest> MakePublishedS3Fifo(size_t pages) {
  return std::make_unique<S3FifoModel>(pages, false);
}

std::unique_ptr<CacheUnderTest> MakePublishedTwoQ(size_t pages) {
  return std::make_unique<TwoQModel>(pages, false);
}

}  // namespace granary::bench
