// Any bytes as a list of warm pages: they are refused, or a list that is encoded to them again.
//
// The fuzzer cannot guess checksums: besides what it gives as it is, it gives groups, which are
// sealed here.
#include <cstdint>
#include <span>
#include <vector>

#include "memory/crc32c.h"
#include "memory/little_endian.h"
#include "memory/testing/fuzz_input.h"
#include "pool/buffer/warm_list.h"

namespace {

void Decode(std::span<const std::byte> bytes) {
  const auto list = granary::DecodeWarmList(bytes);
  if (!list) {
    granary::FuzzCheck(!list.error().message.empty());
    return;
  }
  const auto encoded = granary::EncodeWarmList(*list);
  granary::FuzzCheck(encoded.has_value());
  granary::FuzzCheck(std::vector<std::byte>(bytes.begin(), bytes.end()) == *encoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using Format = granary::WarmListFormat;
  const auto given = std::as_bytes(std::span(data, size));
  Decode(given);
  if (given.empty()) return 0;

  // The first byte says how many pages there are to be, the others are the groups.
  const auto body = given.subspan(1);
  std::vector<std::byte> bytes(Format::kHeaderBytes);
  bytes.insert(bytes.end(), body.begin(), body.end());
  const auto put = [&](size_t at, auto number) { granary::PutFixed(bytes.data() + at, number); };
  put(0, Format::kMagic);
  put(Format::kVersionOffset, Format::kVersion);
  put(Format::kPageBytesOffset, uint32_t{4096});
  put(Format::kBodyBytesOffset, uint64_t{body.size()});
  put(Format::kBodyChecksumOffset, granary::Crc32c(body));
  // As many as it says, and as many as the first group has.
  for (const uint64_t pages : {uint64_t{data[0]}, uint64_t{size > 2 ? data[2] : 0U}}) {
    put(Format::kPagesOffset, pages);
    put(Format::kChecksumOffset, granary::Crc32c({bytes.data(), Format::kChecksumOffset}));
    Decode(bytes);
  }
  return 0;
}
