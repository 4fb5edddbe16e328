#include "pool/buffer/page_codec.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "memory/crc32c.h"
#include "memory/little_endian.h"

namespace granary {

namespace {

std::string NameOf(PageId id) {
  return "page " + std::to_string(id.page) + " of file " + std::to_string(id.file);
}

std::string Hex(uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof(text), "%08x", number);
  return text;
}

uint32_t ChecksumOf(std::span<const std::byte> page) noexcept {
  return Crc32c(page.subspan(PageHeader::kVersionOffset));
}

// Each byte is zero if the first is and each equals the next: memcmp looks at many at a time.
bool IsZero(std::span<const std::byte> page) noexcept {
  return page[0] == std::byte{0} && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

}  // namespace

const char* PageVerdictName(PageVerdict verdict) noexcept {
  switch (verdict) {
    case PageVerdict::kOk:
      return "ok";
    case PageVerdict::kTorn:
      return "torn";
    case PageVerdict::kWrongPage:
      return "wrong page";
    case PageVerdict::kNeverWritten:
      return "never written";
  }
  return "unknown verdict";
}

std::string PageCodec::Describe(std::span<const std::byte> page, PageId id) const {
  return NameOf(id) + ": " + PageVerdictName(Verify(page, id));
}

PageHeader PageHeader::Of(std::span<const std::byte> page) noexcept {
  return {.checksum = GetFixed<uint32_t>(page.data() + kChecksumOffset),
          .version = GetFixed<uint8_t>(page.data() + kVersionOffset),
          .flags = GetFixed<uint8_t>(page.data() + kFlagsOffset),
          .id = {.file = GetFixed<uint32_t>(page.data() + kFileOffset),
                 .page = GetFixed<uint64_t>(page.data() + kPageOffset)},
          .lsn = GetFixed<uint64_t>(page.data() + kLsnOffset)};
}

void ChecksumPageCodec::Seal(std::span<std::byte> page, PageId id, Lsn lsn) const noexcept {
  std::fill_n(page.begin(), PageHeader::kBytes, std::byte{0});
  PutFixed(page.data() + PageHeader::kVersionOffset, PageHeader::kVersion);
  PutFixed(page.data() + PageHeader::kFileOffset, id.file);
  PutFixed(page.data() + PageHeader::kPageOffset, id.page);
  PutFixed(page.data() + PageHeader::kLsnOffset, lsn);
  PutFixed(page.data() + PageHeader::kChecksumOffset, ChecksumOf(page));
}

PageVerdict ChecksumPageCodec::Verify(std::span<const std::byte> page, PageId id) const noexcept {
  const PageHeader header = PageHeader::Of(page);
  // A sealed page is not all zeros: it has a version. So zeros are looked for only where the
  // checksum is wrong, as it is of zeros.
  if (header.checksum != ChecksumOf(page)) {
    return IsZero(page) ? PageVerdict::kNeverWritten : PageVerdict::kTorn;
  }
  // What a later format means by its header this one does not know.
  if (header.version != PageHeader::kVersion || header.flags != 0) return PageVerdict::kTorn;
  return header.id == id ? PageVerdict::kOk : PageVerdict::kWrongPage;
}

Lsn ChecksumPageCodec::LsnOf(std::span<const std::byte> page) const noexcept {
  return PageHeader::Of(page).lsn;
}

std::string ChecksumPageCodec::Describe(std::span<const std::byte> page, PageId id) const {
  const PageHeader header = PageHeader::Of(page);
  std::string text = PageCodec::Describe(page, id);
  if (Verify(page, id) == PageVerdict::kNeverWritten) return text;
  text += "; its header says " + NameOf(header.id) + ", log " + std::to_string(header.lsn) +
          ", version " + std::to_string(header.version) + ", checksum " + Hex(header.checksum);
  const uint32_t found = ChecksumOf(page);
  if (found != header.checksum) text += ", and its bytes have " + Hex(found);
  return text;
}

}  // namespace granary
