// Random use of an Arena against a model that is plainly right: a list of what lives, and the bytes
// that it must contain.
//
// GRANARY_TEST_OPERATIONS sets the number of operations (200,000 unless told), GRANARY_TEST_SEED
// the seed. Verifying is amortised, so that ten million operations are a matter of seconds in an
// optimised build: some random objects at every operation, each object when it goes.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arena/arena.h"
#include "arena/arena_scope.h"
#include "gtest/gtest.h"
#include "memory/testing/failing_resource.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

size_t OperationCount() {
  const char* const chosen = std::getenv("GRANARY_TEST_OPERATIONS");
  return chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : 200'000;
}

struct ModelCase {
  std::string name;
  ArenaOptions options;
  size_t given_bytes = 0;
  // No request is larger, and none of a larger alignment.
  size_t largest_bytes = 20'000;
  size_t largest_alignment = 4096;
};

void PrintTo(const ModelCase& model, std::ostream* out) { *out << model.name; }

// The numbers of objects in the order in which their destructors run.
using Log = std::vector<uint64_t>;

struct Logged {
  Logged(Log* where, uint64_t which) : log(where), id(which) {}
  ~Logged() { log->push_back(id); }
  Log* log;
  uint64_t id;
};

// An element of an array, value-initialised and told afterwards what it is.
struct Element {
  ~Element() {
    if (log != nullptr) log->push_back(id);
  }
  Log* log = nullptr;
  uint64_t id = 0;
};

struct Object {
  std::byte* p;
  size_t bytes;
  size_t alignment;
  // The bytes of plain memory are derived from it.
  uint64_t tag;
  // The numbers that its destructors write down, in their order: [first, first - count).
  uint64_t first_id = 0;
  size_t id_count = 0;
};

// What lives in one arena, the oldest first.
struct Model {
  std::vector<Object> objects;
  // Of what lives in this arena, as its own Stats count it where nothing is checked.
  size_t asked_bytes = 0;
};

struct ModelMark {
  ArenaMark mark;
  std::unique_ptr<ArenaScope> scope;
  size_t object_count;
  size_t asked_bytes;
  MemoryStats stats;
};

class ArenaModelTest : public testing::TestWithParam<ModelCase> {
 protected:
  void SetUp() override {
    seed_ = RandomTestSeed();
    random_.seed(seed_);
    given_.resize(GetParam().given_bytes);
  }

  size_t Below(size_t n) { return static_cast<size_t>(random_() % n); }
  bool OneIn(size_t n) { return Below(n) == 0; }

  // Small sizes are the common ones: every power of two is as likely as any other.
  size_t AnySize() {
    size_t log2 = 0;
    const size_t most = OneIn(64) ? GetParam().largest_bytes : GetParam().largest_bytes / 32;
    while ((size_t{2} << log2) <= most) ++log2;
    return std::min(Below(size_t{2} << Below(log2 + 1)), GetParam().largest_bytes);
  }

  // 8 and 16 as often as engines use them.
  size_t AnyAlignment() {
    if (!OneIn(4)) return OneIn(2) ? 8 : std::min<size_t>(16, GetParam().largest_alignment);
    size_t log2 = 0;
    while ((size_t{1} << log2) < GetParam().largest_alignment) ++log2;
    return size_t{1} << Below(log2 + 1);
  }

  bool checked() const { return GetParam().options.checks == Checks::kOn; }

  static uint64_t WordOf(uint64_t tag, size_t at) {
    return (tag * 0x9e3779b97f4a7c15u) ^ (at * 0xff51afd7ed558ccdu);
  }
  static void Fill(std::byte* p, size_t from, size_t bytes, uint64_t tag) {
    for (size_t at = from; at < bytes;) {
      const uint64_t word = WordOf(tag, at / 8);
      const size_t within = at % 8;
      const size_t count = std::min(8 - within, bytes - at);
      std::memcpy(p + at, reinterpret_cast<const char*>(&word) + within, count);
      at += count;
    }
  }
  static bool Holds(const Object& object) {
    if (object.id_count != 0) return true;  // The destructors' log shows it.
    for (size_t at = 0; at < object.bytes; at += 8) {
      const uint64_t word = WordOf(object.tag, at / 8);
      if (std::memcmp(object.p + at, &word, std::min<size_t>(8, object.bytes - at)) != 0) {
        return false;
      }
    }
    return true;
  }

  // Live objects of both arenas, by address.
  void Insert(const Object& object) {
    const auto next = by_address_.lower_bound(object.p);
    if (next != by_address_.end()) {
      ASSERT_LE(object.p + object.bytes, next->first) << "overlaps";
    }
    if (next != by_address_.begin()) {
      const auto& [p, bytes] = *std::prev(next);
      ASSERT_LE(p + bytes, object.p) << "overlaps";
    }
    by_address_.emplace_hint(next, object.p, object.bytes);
  }

  // Adds what the arena handed out. `before` is the arena's stats before, `bytes` what was asked
  // for with the cleanup's record.
  void Add(const Arena& arena, Model& model, Object object, const ArenaStats& before,
           size_t bytes) {
    ASSERT_NE(object.p, nullptr);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(object.p) % object.alignment, 0u);
    ASSERT_NO_FATAL_FAILURE(Insert(object));
    const ArenaStats after = arena.DetailedStats();
    const size_t grown = after.asked_bytes - before.asked_bytes;
    const bool is_large = after.large_count != before.large_count;
    if (checked()) {
      ASSERT_GT(grown, object.bytes);
    } else {
      // The padding. A large block that is taken again may be larger by anything.
      ASSERT_GE(grown, bytes);
      if (!is_large) {
        ASSERT_LT(grown, bytes + object.alignment) << "alignment " << object.alignment;
      }
    }
    model.asked_bytes += grown;
    model.objects.push_back(object);
  }

  void VerifySome(const Model& model) {
    if (model.objects.empty()) return;
    for (int i = 0; i < 2; ++i) {
      const Object& object = model.objects[Below(model.objects.size())];
      ASSERT_TRUE(object.bytes > 2000 && !OneIn(16) ? true : Holds(object))
          << object.bytes << " bytes of alignment " << object.alignment << " have changed";
    }
  }

  // Everything from the `keep`th object on is about to go: verifies it and says in which order
  // destructors have to run.
  void Expect(Model& model, size_t keep, size_t asked_bytes) {
    expected_log_.clear();
    for (size_t i = model.objects.size(); i > keep; --i) {
      const Object& object = model.objects[i - 1];
      ASSERT_TRUE(Holds(object)) << object.bytes << " bytes of alignment " << object.alignment
                                 << " have changed";
      for (size_t k = 0; k < object.id_count; ++k) expected_log_.push_back(object.first_id - k);
      by_address_.erase(object.p);
    }
    model.objects.resize(keep);
    model.asked_bytes = asked_bytes;
    log_.clear();
  }
  void ExpectLog() { ASSERT_EQ(log_, expected_log_); }

  // A request that upstream may have refused.
  void ExpectUnchanged(const Arena& arena, const ArenaStats& before) {
    const ArenaStats now = arena.DetailedStats();
    ASSERT_GT(upstream_.refusal_count(), 0u) << "refused for no reason";
    ASSERT_EQ(now.asked_bytes, before.asked_bytes);
    ASSERT_EQ(now.used_bytes, before.used_bytes);
    ASSERT_EQ(now.lost_to_tails_bytes, before.lost_to_tails_bytes);
    ASSERT_EQ(now.block_count, before.block_count);
    ASSERT_EQ(now.large_count, before.large_count);
    ASSERT_EQ(now.large_bytes, before.large_bytes);
    // Idle large objects are given back to make room for a new one, whether it then comes or not.
    ASSERT_LE(now.held_bytes, before.held_bytes);
    ASSERT_EQ(before.held_bytes - now.held_bytes, before.retained_bytes - now.retained_bytes);
  }

  void AllocateOne(Arena& arena, Model& model) {
    const ArenaStats before = arena.DetailedStats();
    const uint64_t tag = ++tags_;
    const bool may_refuse = OneIn(50);
    if (may_refuse) upstream_.RefuseFrom(1);
    const auto plain = [&](void* p, size_t bytes, size_t alignment) {
      if (p == nullptr) return ExpectUnchanged(arena, before);
      const Object object{static_cast<std::byte*>(p), std::max<size_t>(bytes, 1), alignment, tag};
      Fill(object.p, 0, object.bytes, tag);
      Add(arena, model, object, before, object.bytes);
    };
    switch (Below(10)) {
      case 0:
      case 1:
      case 2: {
        const size_t bytes = AnySize();
        const size_t alignment = AnyAlignment();
        plain(arena.TryAllocate(bytes, alignment), bytes, alignment);
        break;
      }
      case 3: {
        // The inlined paths of a constant alignment.
        const size_t bytes = AnySize();
        OneIn(2) ? plain(arena.TryAllocate(bytes, 8), bytes, 8)
                 : plain(arena.TryAllocate(bytes, GetParam().largest_alignment >= 16 ? 16 : 4),
                         bytes, GetParam().largest_alignment >= 16 ? 16 : 4);
        break;
      }
      case 4: {
        const size_t bytes = GetParam().largest_alignment >= 16 ? 48 : 24;
        bytes == 48 ? plain(arena.TryAllocate(48, 16), 48, 16)
                    : plain(arena.TryAllocate(24, 8), 24, 8);
        break;
      }
      case 5: {
        const size_t bytes = AnySize();
        plain(arena.TryAllocateBytes(bytes), bytes, 1);
        break;
      }
      case 6: {
        text_.resize(AnySize() % 2000);
        Fill(reinterpret_cast<std::byte*>(text_.data()), 0, text_.size(), tag);
        char* const p = arena.TryCopy(text_);
        if (p != nullptr) {
          ASSERT_EQ(std::string_view(p, text_.size()), text_);
        }
        plain(p, text_.size(), 1);
        break;
      }
      case 7:
      case 8: {
        const uint64_t id = ++ids_;
        Logged* const p = arena.TryCreate<Logged>(&log_, id);
        if (p == nullptr) {
          ExpectUnchanged(arena, before);
          break;
        }
        const Object object{reinterpret_cast<std::byte*>(p), sizeof(Logged), 8, tag, id, 1};
        Add(arena, model, object, before, sizeof(Logged) + 24);
        break;
      }
      case 9: {
        const size_t count = 1 + Below(20);
        Element* const p = arena.TryCreateArray<Element>(count);
        if (p == nullptr) {
          ExpectUnchanged(arena, before);
          break;
        }
        for (size_t i = 0; i < count; ++i) {
          ASSERT_EQ(p[i].log, nullptr) << "not value-initialised";
          p[i].log = &log_;
          p[i].id = ++ids_;
        }
        const Object object{
            reinterpret_cast<std::byte*>(p), count * sizeof(Element), 8, tag, ids_, count};
        Add(arena, model, object, before, count * sizeof(Element) + 32);
        break;
      }
    }
    if (may_refuse) upstream_.RefuseNone();
  }

  // Resizes an object, mostly the newest. One that is older than a mark is left alone: a shrink of
  // it would end the mark.
  void ResizeOne() {
    const size_t oldest = marks_.empty() ? 0 : marks_.back().object_count;
    if (model_.objects.size() <= oldest) return;
    const size_t at =
        OneIn(8) ? oldest + Below(model_.objects.size() - oldest) : model_.objects.size() - 1;
    Object& object = model_.objects[at];
    if (object.id_count != 0) return;
    const bool grow = OneIn(2);
    const size_t bytes =
        grow ? object.bytes + Below(object.bytes * 2 + 64) : 1 + Below(object.bytes);
    const size_t before = arena_->Stats().asked_bytes;
    const bool done = grow ? arena_->TryExtend(object.p, object.bytes, bytes, object.alignment)
                           : arena_->ShrinkLast(object.p, object.bytes, bytes, object.alignment);
    if (!done) {
      ASSERT_EQ(arena_->Stats().asked_bytes, before);
      ASSERT_TRUE(Holds(object));
      return;
    }
    ++resizes_;
    const size_t old_bytes = std::exchange(object.bytes, bytes);
    by_address_.erase(object.p);
    ASSERT_NO_FATAL_FAILURE(Insert(object));
    Fill(object.p, std::min(old_bytes, bytes), bytes, object.tag);
    model_.asked_bytes += arena_->Stats().asked_bytes - before;
  }

  void MarkHere() {
    if (marks_.size() >= 40) return;
    ModelMark mark{.mark = arena_->Mark(),
                   .scope = nullptr,
                   .object_count = model_.objects.size(),
                   .asked_bytes = model_.asked_bytes,
                   .stats = arena_->Stats()};
    marks_.push_back(std::move(mark));
    if (OneIn(2)) marks_.back().scope = std::make_unique<ArenaScope>(*arena_);
  }

  void RewindToOne() {
    if (marks_.empty()) return;
    // Mostly the newest, as scopes do. Scopes in between end first, as C++ has it.
    const size_t at = OneIn(4) ? Below(marks_.size()) : marks_.size() - 1;
    while (marks_.size() > at + 1 || marks_.back().scope != nullptr) {
      if (marks_.back().scope != nullptr) {
        ASSERT_NO_FATAL_FAILURE(
            Expect(model_, marks_.back().object_count, marks_.back().asked_bytes));
        marks_.back().scope.reset();
        ASSERT_NO_FATAL_FAILURE(ExpectLog());
      } else {
        marks_.pop_back();
      }
    }
    const ModelMark& mark = marks_.back();
    ASSERT_NO_FATAL_FAILURE(Expect(model_, mark.object_count, mark.asked_bytes));
    arena_->Rewind(mark.mark);
    ASSERT_NO_FATAL_FAILURE(ExpectLog());
    ASSERT_EQ(arena_->Stats().asked_bytes, mark.stats.asked_bytes);
    // The arena may have had no block when it was marked.
    ASSERT_LE(arena_->Stats().used_bytes, mark.stats.used_bytes + Arena::kBlockHeaderBytes);
    if (OneIn(2)) marks_.pop_back();
    ++rewinds_;
  }

  // Ends every mark, without a rewind where that is allowed: scopes rewind.
  void EndMarks() {
    while (!marks_.empty()) {
      if (marks_.back().scope != nullptr) {
        ASSERT_NO_FATAL_FAILURE(
            Expect(model_, marks_.back().object_count, marks_.back().asked_bytes));
        marks_.back().scope.reset();
        ASSERT_NO_FATAL_FAILURE(ExpectLog());
      }
      marks_.pop_back();
    }
  }

  void ResetAll() {
    ASSERT_NO_FATAL_FAILURE(EndMarks());
    ASSERT_NO_FATAL_FAILURE(Expect(model_, 0, 0));
    const size_t most_kept = 1 + Below(100'000);
    const size_t given = given_bytes_used();
    size_t limit = SIZE_MAX;
    switch (Below(8)) {
      case 0:
        arena_->Reset(Retention::KeepAll());
        break;
      case 1:
        arena_->Reset(Retention::Adaptive());
        break;
      case 2:
        arena_->Reset(Retention::KeepBytes(most_kept));
        limit = most_kept;
        break;
      case 3:
        arena_->Reset(Retention::Release());
        limit = 0;
        break;
      default:
        arena_->Reset();
        limit = arena_->retention().limit_bytes();
        break;
    }
    ASSERT_NO_FATAL_FAILURE(ExpectLog());
    ASSERT_EQ(arena_->Stats().asked_bytes, 0u);
    ASSERT_LE(arena_->Stats().held_bytes - given, limit);
    ++resets_;
  }

  // Bytes of the given block that the arena counts as held.
  size_t given_bytes_used() const { return given_held_; }

  void AbsorbOne() {
    for (size_t i = Below(30); i > 0; --i) {
      ASSERT_NO_FATAL_FAILURE(AllocateOne(*other_, other_model_));
    }
    const size_t asked = arena_->Stats().asked_bytes + other_->Stats().asked_bytes;
    const size_t held = arena_->Stats().held_bytes + other_->Stats().held_bytes;
    ASSERT_TRUE(arena_->Absorb(std::move(*other_)));
    ASSERT_EQ(arena_->Stats().asked_bytes, asked);
    ASSERT_EQ(arena_->Stats().held_bytes + other_->Stats().held_bytes, held);
    ASSERT_EQ(other_->Stats().asked_bytes, 0u);
    model_.asked_bytes += other_model_.asked_bytes;
    model_.objects.insert(model_.objects.end(), other_model_.objects.begin(),
                          other_model_.objects.end());
    if (!other_model_.objects.empty()) {
      ASSERT_TRUE(arena_->Contains(other_model_.objects.back().p));
    }
    other_model_ = {};
    if (OneIn(4)) other_->Reset();
    ++absorbed_;
  }

  void CheckFigures() {
    const MemoryStats stats = arena_->Stats();
    ASSERT_EQ(stats.asked_bytes, model_.asked_bytes);
    ASSERT_LE(stats.asked_bytes, stats.used_bytes);
    ASSERT_LE(stats.used_bytes, stats.held_bytes);
    // What is held is what upstream has given, but for the given block.
    ASSERT_EQ(stats.held_bytes - given_held_ + other_->Stats().held_bytes, upstream_.live_bytes());
  }

  void CheckContains() {
    if (!model_.objects.empty()) {
      const Object& object = model_.objects[Below(model_.objects.size())];
      ASSERT_TRUE(arena_->Contains(object.p));
      ASSERT_TRUE(arena_->Contains(object.p + object.bytes - 1));
    }
    ASSERT_FALSE(arena_->Contains(&model_));
    ASSERT_FALSE(arena_->Contains(nullptr));
  }

  void Run(size_t operations) {
    ArenaOptions options = GetParam().options;
    options.upstream = &upstream_;
    arena_.emplace(std::span<std::byte>(given_.data(), given_.size()), options);
    given_held_ = arena_->Stats().held_bytes;
    other_.emplace(options);
    for (size_t i = 0; i < operations; ++i) {
      SCOPED_TRACE(i);
      const size_t choice = Below(1000);
      if (choice < 850) {
        ASSERT_NO_FATAL_FAILURE(AllocateOne(*arena_, model_));
      } else if (choice < 920) {
        ASSERT_NO_FATAL_FAILURE(ResizeOne());
      } else if (choice < 955) {
        MarkHere();
      } else if (choice < 985) {
        ASSERT_NO_FATAL_FAILURE(RewindToOne());
      } else if (choice < 988) {
        ASSERT_NO_FATAL_FAILURE(AbsorbOne());
      } else if (choice < 992) {
        const size_t held = arena_->Stats().held_bytes;
        const size_t given_back = arena_->Trim();
        ASSERT_EQ(arena_->Stats().held_bytes + given_back, held);
      } else if (choice < 996) {
        ASSERT_NO_FATAL_FAILURE(CheckContains());
      } else {
        ASSERT_NO_FATAL_FAILURE(ResetAll());
      }
      ASSERT_NO_FATAL_FAILURE(VerifySome(model_));
      ASSERT_NO_FATAL_FAILURE(CheckFigures());
    }
    if (operations >= 10'000) {
      EXPECT_GT(resizes_, 0u);
      EXPECT_GT(rewinds_, 0u);
      EXPECT_GT(resets_, 0u);
      EXPECT_GT(absorbed_, 0u);
    }
    ASSERT_NO_FATAL_FAILURE(EndMarks());
    ASSERT_NO_FATAL_FAILURE(Expect(model_, 0, 0));
    arena_.reset();
    ASSERT_NO_FATAL_FAILURE(ExpectLog());
    other_.reset();
    EXPECT_EQ(upstream_.live_count(), 0u);
  }

  uint64_t seed_ = 0;

 private:
  std::mt19937_64 random_;
  std::vector<std::byte> given_;
  FailingResource upstream_;
  Log log_;
  Log expected_log_;
  Model model_;
  Model other_model_;
  std::optional<Arena> arena_;
  // Whose content the first absorbs now and then.
  std::optional<Arena> other_;
  std::vector<ModelMark> marks_;
  std::map<std::byte*, size_t> by_address_;
  std::string text_;
  size_t given_held_ = 0;
  uint64_t tags_ = 0;
  uint64_t ids_ = 0;
  size_t resizes_ = 0;
  size_t rewinds_ = 0;
  size_t resets_ = 0;
  size_t absorbed_ = 0;
};

TEST_P(ArenaModelTest, AgreesWithTheModel) {
  SCOPED_TRACE(HowToReplay(seed_));
  Run(OperationCount());
}

std::vector<ModelCase> EveryCase() {
  std::vector<ModelCase> cases;
  for (const Checks checks : {Checks::kOff, Checks::kOn}) {
    const std::string suffix = checks == Checks::kOn ? "Checked" : "Unchecked";
    cases.push_back({.name = "Defaults" + suffix, .options = {.checks = checks}});
    cases.push_back({.name = "SmallBlocks" + suffix,
                     .options = {.first_block_bytes = 256,
                                 .max_block_bytes = 1024,
                                 .retention = Retention::KeepAll(),
                                 .checks = checks},
                     .largest_bytes = 3000});
    cases.push_back({.name = "GivenBlock" + suffix,
                     .options = {.first_block_bytes = 300,
                                 .max_block_bytes = 5000,
                                 .retention = Retention::KeepBytes(30'000),
                                 .checks = checks},
                     .given_bytes = 3001});
    // No padding and no large objects: every figure is exact.
    cases.push_back({.name = "Exact" + suffix,
                     .options = {.max_block_bytes = size_t{1} << 16,
                                 .retention = Retention::Release(),
                                 .checks = checks},
                     .largest_bytes = 500,
                     .largest_alignment = 8});
  }
  return cases;
}

std::string CaseName(const testing::TestParamInfo<ModelCase>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Arena, ArenaModelTest, testing::ValuesIn(EveryCase()), CaseName);

}  // namespace
}  // namespace granary
