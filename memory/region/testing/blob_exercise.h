// Random calls on a BlobStore, and the map that says what each must answer.
#ifndef GRANARY_MEMORY_REGION_TESTING_BLOB_EXERCISE_H_
#define GRANARY_MEMORY_REGION_TESTING_BLOB_EXERCISE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "memory/region/blob_store.h"

namespace granary {

using BlobBytes = std::vector<std::byte>;
// What a store must have: plainly right.
using BlobModel = std::map<BlobId, BlobBytes>;

// So many bytes that follow from `seed`.
inline BlobBytes SomeBytes(size_t count, uint64_t seed) {
  BlobBytes bytes(count);
  uint64_t state = seed * 0x9E37'79B9'7F4A'7C15 + 1;
  for (std::byte& byte : bytes) {
    state = state * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<std::byte>(state >> 56);
  }
  return bytes;
}

// Empty if `readable`, a BlobStore or a BlobReader, has just what the model has; otherwise what is
// wrong.
template <class Readable>
std::string DifferenceFrom(const BlobModel& model, const Readable& readable) {
  std::string wrong;
  size_t seen = 0;
  uint64_t end = 0;
  readable.ForEach([&](BlobId id, Range range) {
    ++seen;
    if (range.size != 0 && range.offset < end) wrong = BlobIdName(id) + " is out of order";
    if (range.size != 0) end = range.end();
    const auto expected = model.find(id);
    if (expected == model.end()) {
      wrong = BlobIdName(id) + " should not be there";
      return;
    }
    const auto bytes = readable.Load(id);
    if (!bytes) {
      wrong = bytes.error().message;
    } else if (*bytes != expected->second) {
      wrong = BlobIdName(id) + " has other bytes";
    }
  });
  if (!wrong.empty()) return wrong;
  if (seen == model.size()) return {};
  return std::to_string(seen) + " blobs instead of " + std::to_string(model.size());
}

struct BlobExerciseOptions {
  size_t bytes_max = 300;
  // Blobs that it aims at.
  size_t blobs_max = 60;
  // One step in so many is a checkpoint, and one a step of Shrink; 0 for none.
  uint32_t checkpoint_every = 20;
  uint32_t shrink_every = 25;
};

class BlobExercise {
 public:
  BlobExercise(BlobStore& store, uint64_t seed, const BlobExerciseOptions& options = {})
      : store_(&store), options_(options), random_(seed) {}

  const BlobModel& model() const { return model_; }
  void SetModel(BlobModel model) { model_ = std::move(model); }
  // Another store with the same blobs.
  void SetStore(BlobStore& store) { store_ = &store; }
  // What the last checkpoint has, and which it is; and what one in the making would have.
  const BlobModel& checkpointed() const { return checkpointed_; }
  uint64_t checkpoint() const { return checkpoint_; }
  // What went wrong, if a step returned false: an error of the store's, or an answer of its that is
  // not the model's.
  const std::string& error() const { return error_; }
  bool is_mistaken() const { return is_mistaken_; }

  // False if the store answered with an error, or with what is wrong.
  bool Step() {
    error_.clear();
    if (OneIn(options_.checkpoint_every)) return Checkpoint();
    if (OneIn(options_.shrink_every)) return Shrink();
    if (OneIn(500)) return Clear();
    const uint64_t choice = Below(100);
    if (model_.empty() || choice < (model_.size() < options_.blobs_max ? 45U : 15U)) return Add();
    if (choice < 65) return Replace();
    if (choice < 75) return Remove();
    if (choice < 90) return Discard();
    if (choice < 97) return Load();
    return AskForStale();
  }

  bool Checkpoint() {
    const auto done = store_->Checkpoint();
    if (!done) return Refused(done.error());
    if (*done < checkpoint_) return Mistaken("an older checkpoint");
    checkpoint_ = *done;
    checkpointed_ = model_;
    return true;
  }

  // Everything that can be asked.
  bool CheckAll() {
    if (auto valid = store_->Validate(); !valid) return Mistaken(valid.error().message);
    const std::string difference = DifferenceFrom(model_, *store_);
    if (!difference.empty()) return Mistaken(difference);
    uint64_t bytes = 0;
    for (const auto& [id, blob] : model_) bytes += blob.size();
    const BlobStats stats = store_->Stats();
    if (stats.blob_bytes != bytes) return Mistaken("the sum of lengths is wrong");
    if (stats.blobs != model_.size()) return Mistaken("the number of blobs is wrong");
    return true;
  }

  uint64_t Below(uint64_t limit) { return random_() % limit; }

 private:
  bool OneIn(uint32_t count) { return count != 0 && Below(count) == 0; }
  bool Refused(const Error& error) {
    error_ = error.message;
    return false;
  }
  bool Mistaken(std::string what) {
    error_ = std::move(what);
    is_mistaken_ = true;
    return false;
  }
  // Often small, sometimes none.
  BlobBytes NewBytes() {
    const uint64_t kind = Below(10);
    const size_t count =
        kind == 0 ? 0 : 1 + Below(kind < 8 ? options_.bytes_max / 4 + 1 : options_.bytes_max);
    return SomeBytes(count, random_());
  }
  BlobModel::iterator Any() {
    return std::next(model_.begin(), static_cast<std::ptrdiff_t>(Below(model_.size())));
  }

  bool Add() {
    BlobBytes bytes = NewBytes();
    const auto id = store_->Add(bytes);
    if (!id) return Refused(id.error());
    if (model_.contains(*id)) return Mistaken("the id of another blob");
    if (stale_.size() < 100) stale_.push_back({id->index, id->generation + 1});
    model_.emplace(*id, std::move(bytes));
    return true;
  }
  bool Replace() {
    const auto blob = Any();
    BlobBytes bytes = OneIn(4) ? SomeBytes(blob->second.size(), random_()) : NewBytes();
    if (auto done = store_->Replace(blob->first, bytes); !done) return Refused(done.error());
    blob->second = std::move(bytes);
    return true;
  }
  bool Remove() {
    const auto blob = Any();
    const auto bytes = store_->Remove(blob->first);
    if (!bytes) return Refused(bytes.error());
    if (*bytes != blob->second) return Mistaken("Remove returned other bytes");
    Forget(blob);
    return true;
  }
  bool Discard() {
    const auto blob = Any();
    if (auto done = store_->Discard(blob->first); !done) return Refused(done.error());
    Forget(blob);
    return true;
  }
  void Forget(BlobModel::iterator blob) {
    stale_.push_back(blob->first);
    model_.erase(blob);
  }
  bool Load() {
    const auto blob = Any();
    const auto bytes = store_->Load(blob->first);
    if (!bytes) return Refused(bytes.error());
    if (*bytes != blob->second) return Mistaken("Load returned other bytes");
    const auto address = store_->AddressOf(blob->first);
    if (!address || address->size != blob->second.size()) return Mistaken("another length");
    return true;
  }
  bool AskForStale() {
    if (stale_.empty()) return true;
    const BlobId id = stale_[Below(stale_.size())];
    if (model_.contains(id)) return true;
    if (store_->Contains(id) || store_->Load(id) || store_->Discard(id) || store_->Remove(id) ||
        store_->Replace(id, {})) {
      return Mistaken(BlobIdName(id) + " is stale and was not refused");
    }
    return true;
  }
  bool Shrink() {
    const auto step = store_->Shrink(Below(4 * options_.bytes_max));
    return step ? true : Refused(step.error());
  }
  bool Clear() {
    if (auto done = store_->Clear(); !done) return Refused(done.error());
    model_.clear();
    return true;
  }

  BlobStore* store_;
  const BlobExerciseOptions options_;
  std::mt19937_64 random_;
  BlobModel model_;
  BlobModel checkpointed_;
  uint64_t checkpoint_ = 0;
  std::vector<BlobId> stale_;
  std::string error_;
  bool is_mistaken_ = false;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_TESTING_BLOB_EXERCISE_H_
