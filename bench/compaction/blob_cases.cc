#include "bench/compaction/blob_cases.h"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/compaction/blob_keepers.h"
#include "bench/compaction/blob_orders.h"
#include "bench/compaction/sqlite_blobs.h"
#include "bench/compaction/temporary_folder.h"

namespace granary::bench {
namespace {

// A new keeper, of this case's kind: in memory, or in a file, of which there is one at a time.
template <class Keeper, bool kInFile>
class Kept {
 public:
  Kept() {
    if constexpr (kInFile) {
      keeper_ = std::make_unique<Keeper>(folder_.emplace().PathOf("blobs"));
    } else {
      keeper_ = std::make_unique<Keeper>();
    }
  }

  void AddAll() {
    keeper_->Begin();
    for (const auto& bytes : Blobs()) ids_.push_back(keeper_->Add(bytes));
    keeper_->Commit();
  }
  // The first `count` in the order of removal.
  void Remove(uint32_t count) {
    keeper_->Begin();
    for (uint32_t i = 0; i < count; ++i) keeper_->Remove(ids_[RemovalOrder()[i]]);
    keeper_->Commit();
  }
  // Those that were removed, the last first.
  void Readd(uint32_t count) {
    keeper_->Begin();
    for (uint32_t i = count; i > 0; --i) {
      const uint32_t number = RemovalOrder()[i - 1];
      ids_[number] = keeper_->Add(Blobs()[number]);
    }
    keeper_->Commit();
  }

 private:
  // In this order: the file is closed before its folder goes.
  std::optional<TemporaryFolder> folder_;
  std::unique_ptr<Keeper> keeper_;
  std::vector<typename Keeper::Id> ids_;
};

// Each iteration with a keeper of its own, which is made, prepared and destroyed untimed.
template <class K>
void Time(benchmark::State& state, uint32_t operations, const auto& prepare, const auto& action) {
  for (auto iteration : state) {
    state.PauseTiming();
    {
      K kept;
      prepare(kept);
      state.ResumeTiming();
      action(kept);
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * operations);
}

template <class Keeper, bool kInFile>
void RegisterKeeper() {
  using K = Kept<Keeper, kInFile>;
  const auto add = [](const char* action, void (*run)(benchmark::State&)) {
    const std::string name = std::string("compaction/") +
                             (kInFile ? "blobs_file/" : "blobs_memory/") + action + "/" +
                             Keeper::kName;
    auto* const registered = benchmark::RegisterBenchmark(name.c_str(), run);
    // Waiting for the disk counts.
    if (kInFile) registered->UseRealTime();
  };
  add("add", [](benchmark::State& state) {
    Time<K>(
        state, kBlobs, [](K&) {}, [](K& kept) { kept.AddAll(); });
  });
  add("remove", [](benchmark::State& state) {
    Time<K>(
        state, kBlobs, [](K& kept) { kept.AddAll(); }, [](K& kept) { kept.Remove(kBlobs); });
  });
  add("readd", [](benchmark::State& state) {
    Time<K>(
        state, kBlobs / 2,
        [](K& kept) {
          kept.AddAll();
          kept.Remove(kBlobs / 2);
        },
        [](K& kept) { kept.Readd(kBlobs / 2); });
  });
}

}  // namespace

void RegisterBlobs() {
  RegisterKeeper<GranaryBlobs, false>();
  RegisterKeeper<MapOfMalloc, false>();
  RegisterKeeper<SqliteBlobs, false>();
  RegisterKeeper<GranaryBlobs, true>();
  RegisterKeeper<SqliteBlobs, true>();
}

}  // namespace granary::bench
