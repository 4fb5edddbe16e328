#include "bench/traces/page_trace.h"

#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <span>
#include <system_error>
#include <utility>

#include "bench/traces/unpacked_file.h"

namespace granary::bench {
namespace {

constexpr const char* kWhere = "ReadPageTrace";

constexpr std::pair<PageTraceFormat, const char*> kNames[] = {{PageTraceFormat::kLis, "lis"},
                                                              {PageTraceFormat::kLines, "lines"},
                                                              {PageTraceFormat::kBe32, "be32"},
                                                              {PageTraceFormat::kBe64, "be64"}};

// No recording has a longer one, and a file that is none does not fill the memory.
constexpr size_t kLineBytesMax = 4096;
constexpr size_t kPagesOfLineMax = size_t{1} << 24;

// The pieces of a file that are looked at.
class Pieces {
 public:
  explicit Pieces(UnpackedFile& file) : file_(file) {}

  // More behind what is not consumed yet; false if there is none.
  Expected<bool> Fetch() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    const auto count = file_.Read(std::span(buffer_).subspan(end_));
    if (!count) return tl::unexpected(count.error());
    end_ += *count;
    return *count != 0;
  }

  std::string_view rest() const { return {buffer_.data() + begin_, end_ - begin_}; }
  void Consume(size_t bytes) { begin_ += bytes; }

 private:
  UnpackedFile& file_;
  // Larger than any line and any number.
  std::array<char, size_t{1} << 16> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

tl::unexpected<Error> Malformed(std::string message) {
  return tl::unexpected(Error{ErrorCode::kInvalidArgument, std::move(message), kWhere});
}

class TextReader {
 public:
  TextReader(UnpackedFile& file, std::string path, const PageTraceOptions& options)
      : pieces_(file), path_(std::move(path)), options_(options) {}

  Expected<std::vector<uint64_t>> Read() {
    std::vector<uint64_t> pages;
    for (;;) {
      const auto has_line = NextLine();
      if (!has_line) return tl::unexpected(has_line.error());
      if (!*has_line) break;
      const auto parsed =
          options_.format == PageTraceFormat::kLis ? ParseRequest(pages) : ParsePage(pages);
      if (!parsed) return tl::unexpected(parsed.error());
    }
    if (pages.empty()) return At("there is no request");
    return pages;
  }

 private:
  // Of a file that ends with a newline the rest behind it is not a line.
  Expected<bool> NextLine() {
    ++line_number_;
    pieces_.Consume(line_bytes_);
    size_t end = 0;
    while ((end = pieces_.rest().find('\n')) == std::string_view::npos) {
      if (pieces_.rest().size() > kLineBytesMax) break;
      const auto more = pieces_.Fetch();
      if (!more) return tl::unexpected(more.error());
      if (!*more) break;
    }
    line_ = pieces_.rest().substr(0, end);
    if (line_.size() > kLineBytesMax) {
      return At("a line is longer than " + std::to_string(kLineBytesMax) + " bytes");
    }
    line_bytes_ = line_.size() + (end == std::string_view::npos ? 0 : 1);
    return line_bytes_ != 0;
  }

  Expected<void> ParseRequest(std::vector<uint64_t>& pages) {
    constexpr const char* kFields[] = {"the first block", "the number of blocks", "the third field",
                                       "the request's number"};
    std::array<uint64_t, std::size(kFields)> values = {};
    for (size_t i = 0; i < values.size(); ++i) {
      const auto value = NextNumber();
      if (!value) return At(std::string(kFields[i]) + " is missing or not a number");
      values[i] = *value;
    }
    if (!AtLineEnd()) return At("there is more behind the request's number");
    const auto [start, blocks, ignored, number] = values;
    if (blocks == 0) return At("a request for no block");
    constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
    const uint64_t blocks_max = kMax / options_.block_bytes;
    if (start > blocks_max || blocks > blocks_max - start) {
      return At("the blocks " + std::to_string(start) + " and " + std::to_string(blocks - 1) +
                " more lie beyond 2^64 bytes");
    }
    const uint64_t first = start * options_.block_bytes / options_.page_bytes;
    const uint64_t last = ((start + blocks) * options_.block_bytes - 1) / options_.page_bytes;
    if (last - first >= kPagesOfLineMax) {
      return At("a request for " + std::to_string(blocks) + " blocks is one for more than " +
                std::to_string(kPagesOfLineMax) + " pages");
    }
    for (uint64_t i = 0; i <= last - first; ++i) pages.push_back(first + i);
    return {};
  }

  Expected<void> ParsePage(std::vector<uint64_t>& pages) {
    const auto page = NextNumber();
    if (!page) return At("the page is missing, not a number or too large");
    if (!AtLineEnd()) return At("there is more behind the page");
    pages.push_back(*page);
    return {};
  }

  static bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

  void SkipBlanks() {
    while (!line_.empty() && IsBlank(line_.front())) line_.remove_prefix(1);
  }

  // A number that a blank or the line's end follows.
  std::optional<uint64_t> NextNumber() {
    SkipBlanks();
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(line_.data(), line_.data() + line_.size(), value);
    if (error != std::errc()) return std::nullopt;
    line_.remove_prefix(static_cast<size_t>(end - line_.data()));
    if (!line_.empty() && !IsBlank(line_.front())) return std::nullopt;
    return value;
  }

  bool AtLineEnd() {
    SkipBlanks();
    return line_.empty();
  }

  tl::unexpected<Error> At(const std::string& what) const {
    return Malformed(path_ + ", line " + std::to_string(line_number_) + ": " + what);
  }

  Pieces pieces_;
  std::string path_;
  PageTraceOptions options_;
  std::string_view line_;
  size_t line_bytes_ = 0;
  size_t line_number_ = 0;
};

// Numbers of `width` bytes.
Expected<std::vector<uint64_t>> ReadNumbers(UnpackedFile& file, const std::string& path,
                                            size_t width) {
  Pieces pieces(file);
  std::vector<uint64_t> pages;
  for (;;) {
    const auto more = pieces.Fetch();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    while (pieces.rest().size() >= width) {
      uint64_t page = 0;
      for (const char byte : pieces.rest().substr(0, width)) {
        page = page << 8 | static_cast<unsigned char>(byte);
      }
      pages.push_back(page);
      pieces.Consume(width);
    }
  }
  const std::string place = path + ", byte " + std::to_string(pages.size() * width) + ": ";
  if (!pieces.rest().empty()) {
    return Malformed(place + "the file ends " + std::to_string(pieces.rest().size()) +
                     " bytes into a number of " + std::to_string(width));
  }
  if (pages.empty()) return Malformed(place + "there is no request");
  return pages;
}

}  // namespace

const char* PageTraceFormatName(PageTraceFormat format) {
  for (const auto& [known, name] : kNames) {
    if (known == format) return name;
  }
  return "unknown";
}

std::optional<PageTraceFormat> PageTraceFormatOf(std::string_view name) {
  for (const auto& [format, known] : kNames) {
    if (known == name) return format;
  }
  return std::nullopt;
}

Expected<std::vector<uint64_t>> ReadPageTrace(const std::string& path,
                                              const PageTraceOptions& options) {
  if (options.block_bytes == 0 || options.page_bytes == 0) {
    return Malformed("blocks of " + std::to_string(options.block_bytes) + " bytes and pages of " +
                     std::to_string(options.page_bytes) + ": neither may be 0");
  }
  const auto file = UnpackedFile::Open(path);
  if (!file) return tl::unexpected(file.error());
  switch (options.format) {
    case PageTraceFormat::kLis:
    case PageTraceFormat::kLines:
      return TextReader(**file, path, options).Read();
    case PageTraceFormat::kBe32:
      return ReadNumbers(**file, path, sizeof(uint32_t));
    case PageTraceFormat::kBe64:
      return ReadNumbers(**file, path, sizeof(uint64_t));
  }
  return Malformed("there is no such format");
}

}  // namespace granary::bench
