#include "bench/traces/unpacked_file.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

namespace granary::bench {
namespace {

constexpr const char* kWhere = "UnpackedFile";

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

tl::unexpected<Error> Unreadable(const std::string& path, const std::string& why,
                                 int system_errno = 0) {
  return tl::unexpected(
      Error{ErrorCode::kIo, path + " cannot be read: " + why, kWhere, system_errno});
}

Expected<File> OpenFile(const std::string& path) {
  File file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr) {
    const int system_errno = errno;
    return tl::unexpected(Error{ErrorCode::kIo,
                                path + " cannot be opened: " + std::strerror(system_errno), kWhere,
                                system_errno});
  }
  return file;
}

Expected<size_t> ReadFile(std::FILE* file, const std::string& path, std::span<char> buffer) {
  const size_t count = std::fread(buffer.data(), 1, buffer.size(), file);
  if (count == 0 && std::ferror(file) != 0) {
    const int system_errno = errno;
    return Unreadable(path, std::strerror(system_errno), system_errno);
  }
  return count;
}

class PlainFile final : public UnpackedFile {
 public:
  PlainFile(std::string path, File file) : path_(std::move(path)), file_(std::move(file)) {}

  Expected<size_t> Read(std::span<char> buffer) override {
    return ReadFile(file_.get(), path_, buffer);
  }

 private:
  std::string path_;
  File file_;
};

class GzipFile final : public UnpackedFile {
 public:
  using Handle = std::unique_ptr<gzFile_s, int (*)(gzFile)>;

  GzipFile(std::string path, Handle file) : path_(std::move(path)), file_(std::move(file)) {}

  Expected<size_t> Read(std::span<char> buffer) override {
    const auto most = static_cast<unsigned>(std::min<size_t>(buffer.size(), INT_MAX));
    const int count = gzread(file_.get(), buffer.data(), most);
    // A file that is cut short reads as far as it goes; only gzerror tells.
    int error = Z_OK;
    const char* const message = gzerror(file_.get(), &error);
    if (error != Z_OK && (count <= 0 || error != Z_BUF_ERROR)) return Unreadable(path_, message);
    if (gzdirect(file_.get()) != 0) return Unreadable(path_, "it is not a gzip file");
    return static_cast<size_t>(count);
  }

 private:
  std::string path_;
  Handle file_;
};

class ZstdFile final : public UnpackedFile {
 public:
  ZstdFile(std::string path, File file)
      : path_(std::move(path)),
        file_(std::move(file)),
        stream_(ZSTD_createDStream(), &ZSTD_freeDStream),
        packed_(ZSTD_DStreamInSize()) {}

  Expected<size_t> Read(std::span<char> buffer) override {
    ZSTD_outBuffer out = {buffer.data(), buffer.size(), 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size) {
        const auto count = ReadFile(file_.get(), path_, packed_);
        if (!count) return tl::unexpected(count.error());
        at_end_ = *count == 0;
        in_ = {packed_.data(), *count, 0};
      }
      // In the middle of a frame there may be output left without any more input.
      if (at_end_ && frame_rest_ == 0) return size_t{0};
      frame_rest_ = ZSTD_decompressStream(stream_.get(), &out, &in_);
      if (ZSTD_isError(frame_rest_) != 0) {
        return Unreadable(path_, ZSTD_getErrorName(frame_rest_));
      }
      if (at_end_ && out.pos == 0 && frame_rest_ != 0) {
        return Unreadable(path_, "it ends in the middle of a zstd frame");
      }
    }
    return out.pos;
  }

 private:
  std::string path_;
  File file_;
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  std::vector<char> packed_;
  ZSTD_inBuffer in_ = {nullptr, 0, 0};
  bool at_end_ = false;
  // 0 between frames. A file has at least one.
  size_t frame_rest_ = 1;
};

}  // namespace

Expected<std::unique_ptr<UnpackedFile>> UnpackedFile::Open(const std::string& path) {
  if (path.ends_with(".gz")) {
    GzipFile::Handle file(gzopen(path.c_str(), "rbe"), gzclose);
    if (file == nullptr) {
      const int system_errno = errno;
      return tl::unexpected(Error{ErrorCode::kIo,
                                  path + " cannot be opened: " + std::strerror(system_errno),
                                  kWhere, system_errno});
    }
    return std::make_unique<GzipFile>(path, std::move(file));
  }
  auto file = OpenFile(path);
  if (!file) return tl::unexpected(std::move(file.error()));
  if (path.ends_with(".zst")) return std::make_unique<ZstdFile>(path, *std::move(file));
  return std::make_unique<PlainFile>(path, *std::move(file));
}

}  // namespace granary::bench
