// Any file, and files that a store wrote with any bytes in any places, whose checksums are right:
// it opens, or says what is wrong with it; what opens is sound, and goes on.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "memory/crc32c.h"
#include "memory/region/blob_format.h"
#include "memory/region/blob_reader.h"
#include "memory/region/blob_store.h"
#include "memory/region/testing/blob_exercise.h"
#include "memory/testing/fuzz_input.h"
#include "memory/testing/simulated_files.h"

namespace granary {
namespace {

constexpr const char* kPath = "blobs";

BlobFileOptions OptionsFor(SimulatedFiles& files) {
  return {.store = {.max_bytes = uint64_t{1} << 20, .max_blobs = 1 << 10}, .file_calls = &files};
}

// A file of two checkpoints and two levels.
const std::vector<std::byte>& WholeFile() {
  static const std::vector<std::byte> whole = [] {
    SimulatedFiles files;
    auto store = *BlobStore::OpenFile(kPath, OptionsFor(files));
    for (uint32_t i = 0; i < 140; ++i) (void)store->Add(SomeBytes(i % 30, i));
    (void)store->Checkpoint();
    for (uint32_t i = 0; i < 140; i += 3) (void)store->Discard({i, 1});
    (void)store->Checkpoint();
    return *files.Contents(kPath);
  }();
  return whole;
}

void Mend(std::span<std::byte> file, size_t at, size_t count, size_t checksum_at) {
  if (at > file.size() || count > file.size() - at || checksum_at > file.size() - 4) return;
  blob::Encoder(file.data() + checksum_at).Put32(Crc32c(file.subspan(at, count)));
}

// As a hand would that knows the format: the leaves' checksums in the root, the root's in the
// headers, the headers' own.
void MendChecksums(std::span<std::byte> file) {
  for (const size_t slot : {size_t{0}, size_t{blob::kHeaderDistance}}) {
    if (file.size() < slot + blob::kHeaderBytes) continue;
    const uint64_t offset = blob::Decoder(file.data() + slot + 72).Get64();
    const uint32_t bytes = blob::Decoder(file.data() + slot + 80).Get32();
    const uint64_t root = blob::kRegionBegin + offset;
    if (root < file.size() && bytes <= file.size() - root && bytes >= blob::kNodeHeaderBytes) {
      for (uint64_t at = root + blob::kNodeHeaderBytes; at + 16 <= root + bytes; at += 16) {
        const uint64_t leaf = blob::kRegionBegin + blob::Decoder(file.data() + at).Get64();
        const uint32_t leaf_bytes = blob::Decoder(file.data() + at + 8).Get32();
        Mend(file, leaf, leaf_bytes, at + 12);
      }
      Mend(file, root, bytes, slot + 84);
    }
    Mend(file, slot, 124, slot + 124);
  }
}

std::vector<std::byte> FileFrom(FuzzInput& input) {
  const uint64_t kind = input.Number(1);
  if (kind % 8 == 0) {
    std::vector<std::byte> file;
    while (!input.empty()) file.push_back(static_cast<std::byte>(input.Number(1)));
    return file;
  }
  std::vector<std::byte> file = WholeFile();
  if (kind % 8 == 1) file.resize(input.Below(file.size() + 1));
  for (uint64_t changes = input.Number(1) % 8; changes > 0 && !file.empty(); --changes) {
    // In a header more often than elsewhere.
    const size_t where = input.Below(4);
    const size_t at = where < 2 ? where * blob::kHeaderDistance + input.Below(blob::kHeaderBytes)
                                : input.Below(file.size());
    if (at >= file.size()) continue;
    const uint64_t how = input.Number(1);
    file[at] = how % 2 == 0 ? static_cast<std::byte>(input.Number(1))
                            : file[at] ^ static_cast<std::byte>(1U << (how / 2 % 8));
  }
  if (kind % 2 == 0) MendChecksums(file);
  return file;
}

bool IsSaidWell(const Error& error) {
  if (error.message.empty()) return false;
  return error.code == ErrorCode::kCorrupt || error.code == ErrorCode::kUnsupported ||
         error.code == ErrorCode::kOutOfMemory || error.code == ErrorCode::kIo;
}

void Run(FuzzInput& input) {
  SimulatedFiles files;
  files.Put(kPath, FileFrom(input));
  {
    const auto reader = BlobReader::Open(kPath, {.max_blobs = 1 << 10, .file_calls = &files});
    FuzzCheck(reader || IsSaidWell(reader.error()));
    if (reader) (*reader)->ForEach([&](BlobId id, Range) { (void)(*reader)->Load(id); });
  }
  auto store = BlobStore::OpenFile(kPath, OptionsFor(files));
  FuzzCheck(store || IsSaidWell(store.error()));
  if (!store) return;
  FuzzCheck((*store)->Validate().has_value());
  BlobModel model;
  std::vector<BlobId> lost;
  (*store)->ForEach([&](BlobId id, Range) {
    if (auto bytes = (*store)->Load(id)) {
      model.emplace(id, std::move(*bytes));
    } else {
      lost.push_back(id);
    }
  });
  for (const BlobId id : lost) FuzzCheck((*store)->Discard(id).has_value());
  BlobExercise exercise(**store, 1);
  exercise.SetModel(std::move(model));
  for (int step = 0; step < 30; ++step) {
    if (!exercise.Step()) FuzzCheck(!exercise.is_mistaken());
  }
  FuzzCheck(exercise.CheckAll());
}

}  // namespace
}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  granary::FuzzInput input(data, size);
  granary::Run(input);
  return 0;
}
