// PageCodec: what a page says of itself, so that a wrong one is known when it is read.
//
// Choose ChecksumPageCodec for files that have to be trusted; PlainPageCodec where the pages look
// after themselves, or the store cannot lie (MemoryPageStore). A pool seals a page before it is
// written and verifies it after it is read.
//
// ChecksumPageCodec has the first 32 bytes of each page, little endian:
//
//   offset  bytes
//        0      4  CRC-32C of all that follows in the page, the rest of the header included
//        4      1  version of the format: 1
//        5      1  flags: 0
//        6      2  0
//        8      4  the file of the page
//       12      4  0
//       16      8  the number of the page
//       24      8  the page's place in the log
//       32         the page's own
//
// What it finds. Each flip of one bit, by the checksum's nature; pages that are made of sectors of
// two versions, and anything else, with a chance of 1 in 2^32 to be taken for right. A page that is
// right and stands at another's place. A page that was never written, of zeros alone. What it
// cannot find by itself is a write that was lost: the page that was there before is a right one.
// Its place in the log tells, against the log.
//
// Threading. A codec has no state: any thread may use it; the bytes are the caller's.
#ifndef GRANARY_POOL_BUFFER_PAGE_CODEC_H_
#define GRANARY_POOL_BUFFER_PAGE_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "pool/buffer/page_types.h"

namespace granary {

// What a page that was read is.
enum class PageVerdict : uint8_t {
  kOk,
  kTorn,          // Not all of it is what was sealed; or it was sealed in a later format.
  kWrongPage,     // Sealed as another page: a write or a read went astray.
  kNeverWritten,  // Zeros.
};

// "ok", "torn", "wrong page", "never written": for logs and messages.
const char* PageVerdictName(PageVerdict verdict) noexcept;

class PageCodec {
 public:
  virtual ~PageCodec() = default;

  // The first bytes of each page, which are the codec's; pages are no smaller.
  virtual size_t header_bytes() const noexcept = 0;

  // Fills the header in, the last thing that happens to a page before it is written. `page` is all
  // of it; the bytes behind the header are not changed.
  virtual void Seal(std::span<std::byte> page, PageId id, Lsn lsn) const noexcept = 0;

  // Whether `page`, all of it, is `id` as it was sealed.
  virtual PageVerdict Verify(std::span<const std::byte> page, PageId id) const noexcept = 0;

  // What it was sealed with; of a page that Verify takes for right. 0 of a codec that keeps none.
  virtual Lsn LsnOf(std::span<const std::byte> page) const noexcept = 0;

  // What Verify found, and what of the header led to it: for messages.
  virtual std::string Describe(std::span<const std::byte> page, PageId id) const;
};

// What stands in the header of a page.
struct PageHeader {
  static constexpr size_t kChecksumOffset = 0;
  static constexpr size_t kVersionOffset = 4;
  static constexpr size_t kFlagsOffset = 5;
  static constexpr size_t kFileOffset = 8;
  static constexpr size_t kPageOffset = 16;
  static constexpr size_t kLsnOffset = 24;
  static constexpr size_t kBytes = 32;
  static constexpr uint8_t kVersion = 1;

  uint32_t checksum = 0;
  uint8_t version = 0;
  uint8_t flags = 0;
  PageId id;
  Lsn lsn = 0;

  // As it stands there, right or not. `page` has at least kBytes.
  static PageHeader Of(std::span<const std::byte> page) noexcept;
};

// A checksum, the page's name and its place in the log: 32 bytes a page. Sealing and verifying are
// one pass over the page each, at the speed of Crc32c.
class ChecksumPageCodec final : public PageCodec {
 public:
  size_t header_bytes() const noexcept override { return PageHeader::kBytes; }
  void Seal(std::span<std::byte> page, PageId id, Lsn lsn) const noexcept override;
  PageVerdict Verify(std::span<const std::byte> page, PageId id) const noexcept override;
  Lsn LsnOf(std::span<const std::byte> page) const noexcept override;
  std::string Describe(std::span<const std::byte> page, PageId id) const override;
};

// Nothing: takes no byte of the page, looks at none, and takes every page for right.
class PlainPageCodec final : public PageCodec {
 public:
  size_t header_bytes() const noexcept override { return 0; }
  void Seal(std::span<std::byte> /*page*/, PageId /*id*/, Lsn /*lsn*/) const noexcept override {}
  PageVerdict Verify(std::span<const std::byte> /*page*/, PageId /*id*/) const noexcept override {
    return PageVerdict::kOk;
  }
  Lsn LsnOf(std::span<const std::byte> /*page*/) const noexcept override { return 0; }
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_PAGE_CODEC_H_
