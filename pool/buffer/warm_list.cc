#include "pool/buffer/warm_list.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "memory/crc32c.h"
#include "memory/file.h"
#include "memory/little_endian.h"

namespace granary {

namespace {

using Format = WarmListFormat;

Error Corrupt(std::string message) {
  return {.code = ErrorCode::kCorrupt, .message = std::move(message), .where = "WarmList"};
}

void PutNumber(std::vector<std::byte>& to, uint64_t number) {
  for (; number >= 0x80; number >>= 7) to.push_back(static_cast<std::byte>(number | 0x80));
  to.push_back(static_cast<std::byte>(number));
}

// Reads the groups, and knows where it is.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool at_end() const { return next_ == bytes_.size(); }
  // In the file.
  std::string place() const { return std::to_string(Format::kHeaderBytes + next_); }

  std::optional<uint8_t> Byte() {
    if (at_end()) return std::nullopt;
    return static_cast<uint8_t>(bytes_[next_++]);
  }
  // Nothing if there is no number, one of more than 64 bits, or one in more bytes than it needs.
  std::optional<uint64_t> Number() {
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = Byte();
      if (!byte || (shift == 63 && *byte > 1)) return std::nullopt;
      number |= uint64_t{*byte & 0x7fU} << shift;
      if (*byte >= 0x80) continue;
      if (*byte == 0 && shift != 0) return std::nullopt;
      return number;
    }
    return std::nullopt;
  }

 private:
  std::span<const std::byte> bytes_;
  size_t next_ = 0;
};

Expected<void> DecodeGroups(std::span<const std::byte> body, uint64_t count,
                            std::vector<WarmPage>& pages) {
  Reader reader(body);
  // Each page has a byte at least, so that a count that is wrong asks for no more memory.
  pages.reserve(static_cast<size_t>(count));
  unsigned hotter = 256;
  while (!reader.at_end()) {
    const std::string place = reader.place();
    const auto heat = reader.Byte();
    const auto in_group = reader.Number();
    if (!heat || !in_group || *heat >= hotter || *in_group == 0 ||
        *in_group > count - pages.size()) {
      return tl::unexpected(Corrupt("at " + place + " is no group that could follow"));
    }
    hotter = *heat;
    uint64_t next = 0;
    bool is_full = false;
    for (uint64_t i = 0; i < *in_group; ++i) {
      const auto left_out = reader.Number();
      if (!left_out || is_full || *left_out > UINT64_MAX - next) {
        return tl::unexpected(
            Corrupt("before " + reader.place() + " is no page that could follow"));
      }
      const PageKey key = next + *left_out;
      pages.push_back({.key = key, .heat = *heat});
      is_full = key == UINT64_MAX;
      next = key + 1;
    }
  }
  if (pages.size() != count) {
    return tl::unexpected(Corrupt("there are " + std::to_string(pages.size()) +
                                  " pages, and were to be " + std::to_string(count)));
  }
  return {};
}

// The key that is there twice.
std::optional<PageKey> FindTwice(std::span<const WarmPage> pages) {
  std::vector<PageKey> keys;
  keys.reserve(pages.size());
  for (const WarmPage& page : pages) keys.push_back(page.key);
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice == keys.end()) return std::nullopt;
  return *twice;
}

std::string Twice(PageKey key) {
  return "page " + std::to_string(PageOf(key).page) + " of file " +
         std::to_string(PageOf(key).file) + " is there twice";
}

}  // namespace

Expected<std::vector<std::byte>> EncodeWarmList(const WarmList& list) {
  const auto invalid = [](std::string message) {
    return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                                .message = std::move(message),
                                .where = "EncodeWarmList"});
  };
  if (list.page_bytes == 0 || list.page_bytes > UINT32_MAX) {
    return invalid("pages of " + std::to_string(list.page_bytes) + " bytes");
  }
  if (const auto twice = FindTwice(list.pages)) return invalid(Twice(*twice));
  std::vector<WarmPage> pages = list.pages;
  std::sort(pages.begin(), pages.end(), [](const WarmPage& a, const WarmPage& b) {
    return a.heat != b.heat ? a.heat > b.heat : a.key < b.key;
  });
  std::vector<std::byte> bytes(Format::kHeaderBytes);
  for (size_t first = 0; first < pages.size();) {
    size_t last = first;
    while (last < pages.size() && pages[last].heat == pages[first].heat) ++last;
    bytes.push_back(static_cast<std::byte>(pages[first].heat));
    PutNumber(bytes, last - first);
    PageKey next = 0;
    for (; first < last; ++first) {
      PutNumber(bytes, pages[first].key - next);
      next = pages[first].key + 1;
    }
  }
  const auto body = std::span<const std::byte>(bytes).subspan(Format::kHeaderBytes);
  std::byte* const header = bytes.data();
  PutFixed(header, Format::kMagic);
  PutFixed(header + Format::kVersionOffset, Format::kVersion);
  PutFixed(header + Format::kPageBytesOffset, static_cast<uint32_t>(list.page_bytes));
  PutFixed(header + Format::kPagesOffset, uint64_t{pages.size()});
  PutFixed(header + Format::kBodyBytesOffset, uint64_t{body.size()});
  PutFixed(header + Format::kBodyChecksumOffset, Crc32c(body));
  PutFixed(header + Format::kChecksumOffset, Crc32c({header, Format::kChecksumOffset}));
  return bytes;
}

Expected<WarmList> DecodeWarmList(std::span<const std::byte> bytes) {
  if (bytes.size() < Format::kHeaderBytes || GetFixed<uint64_t>(bytes.data()) != Format::kMagic) {
    return tl::unexpected(
        Corrupt("these " + std::to_string(bytes.size()) + " bytes are no list of warm pages"));
  }
  const std::byte* const header = bytes.data();
  // Before the checksum, which a later version may have elsewhere.
  if (const auto version = GetFixed<uint32_t>(header + Format::kVersionOffset);
      version != Format::kVersion) {
    return tl::unexpected(Error{.code = ErrorCode::kUnsupported,
                                .message = "a list of warm pages of version " +
                                           std::to_string(version) + ", and known is " +
                                           std::to_string(Format::kVersion),
                                .where = "WarmList"});
  }
  if (GetFixed<uint32_t>(header + Format::kChecksumOffset) !=
      Crc32c({header, Format::kChecksumOffset})) {
    return tl::unexpected(Corrupt("the header's checksum is not that of the header"));
  }
  const auto body = bytes.subspan(Format::kHeaderBytes);
  const auto body_bytes = GetFixed<uint64_t>(header + Format::kBodyBytesOffset);
  if (body.size() != body_bytes) {
    return tl::unexpected(Corrupt("there are " + std::to_string(body.size()) +
                                  " bytes behind the header, and were to be " +
                                  std::to_string(body_bytes)));
  }
  if (GetFixed<uint32_t>(header + Format::kBodyChecksumOffset) != Crc32c(body)) {
    return tl::unexpected(Corrupt("the checksum is not that of the " + std::to_string(body_bytes) +
                                  " bytes behind the header"));
  }
  WarmList list;
  list.page_bytes = GetFixed<uint32_t>(header + Format::kPageBytesOffset);
  const auto count = GetFixed<uint64_t>(header + Format::kPagesOffset);
  if (list.page_bytes == 0 || count > body_bytes) {
    return tl::unexpected(Corrupt(std::to_string(count) + " pages of " +
                                  std::to_string(list.page_bytes) + " bytes, in " +
                                  std::to_string(body_bytes) + " bytes of list"));
  }
  if (auto decoded = DecodeGroups(body, count, list.pages); !decoded) {
    return tl::unexpected(std::move(decoded.error()));
  }
  if (const auto twice = FindTwice(list.pages)) return tl::unexpected(Corrupt(Twice(*twice)));
  return list;
}

Expected<uint64_t> SaveWarmList(const WarmList& list, const std::string& path, FileCalls& calls) {
  auto bytes = EncodeWarmList(list);
  if (!bytes) return tl::unexpected(std::move(bytes.error()));
  const std::string new_path = path + ".new";
  const auto write = [&]() -> Expected<void> {
    auto file = File::Open(new_path, O_WRONLY | O_CREAT | O_TRUNC, 0644, calls);
    if (!file) return tl::unexpected(std::move(file.error()));
    if (auto done = file->WriteAt(0, *bytes); !done) return done;
    if (auto done = file->Sync(); !done) return done;
    return file->Close();
  };
  auto saved = write();
  if (saved) saved = RenameDurably(new_path, path, calls);
  if (!saved) {
    // It is there unless the folder's sync is what failed.
    (void)calls.Unlink(new_path.c_str());
    return tl::unexpected(std::move(saved.error()));
  }
  return uint64_t{bytes->size()};
}

Expected<WarmList> LoadWarmList(const std::string& path, FileCalls& calls) {
  auto file = File::Open(path, O_RDONLY, 0, calls);
  if (!file) return tl::unexpected(std::move(file.error()));
  const auto size = file->Size();
  if (!size) return tl::unexpected(size.error());
  std::vector<std::byte> bytes(static_cast<size_t>(*size));
  if (auto read = file->ReadAt(0, bytes); !read) return tl::unexpected(std::move(read.error()));
  auto list = DecodeWarmList(bytes);
  if (!list) list.error().message = path + ": " + list.error().message;
  return list;
}

}  // namespace granary
