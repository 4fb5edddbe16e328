#include "bench/buffer/resident_limit.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "bench/buffer/pages.h"
#include "bench/compaction/checked.h"
#include "bench/program.h"

namespace granary::bench {
namespace {

// Where the mapping begins that has this address.
std::byte* MappingOf(const void* inside) {
  const auto address = reinterpret_cast<uintptr_t>(inside);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t first = 0;
    uintptr_t last = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR, &first, &last) != 2) continue;
    if (first <= address && address < last) return reinterpret_cast<std::byte*>(first);
  }
  Die("a file that is mapped is nowhere in /proc/self/maps");
}

}  // namespace

std::string ResidentLimit::WhyNot(const std::string& path) {
  struct statfs system = {};
  if (::statfs(path.c_str(), &system) != 0) return path + " is on no file system that tells";
  if (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC) {
    return path + " is in memory, and nothing of it can be anywhere else";
  }
  return {};
}

ResidentLimit::ResidentLimit(int descriptor, uint64_t file_pages, const void* inside, size_t pages)
    : descriptor_(descriptor),
      file_pages_(file_pages),
      mapped_(MappingOf(inside)),
      told_(Surely(EvictionCache::Create(EvictionKind::kS3Fifo, pages))) {
  Drop(0, file_pages_);
}

void ResidentLimit::Touch(const void* address) {
  const auto offset = static_cast<size_t>(static_cast<const std::byte*>(address) - mapped_);
  const uint64_t page = offset / kPageBytes;
  // Neighbours in a leaf are one request, as they are in a pool.
  if (page == last_page_) return;
  last_page_ = page;
  told_->Access(page, Access::kNormal);
  if (const auto driven_out = told_->driven_out()) Drop(*driven_out, 1);
}

void ResidentLimit::Drop(uint64_t first_page, uint64_t pages) {
  const uint64_t offset = first_page * kPageBytes;
  const uint64_t bytes = pages * kPageBytes;
  if (::madvise(mapped_ + offset, bytes, MADV_DONTNEED) != 0 ||
      ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes),
                      POSIX_FADV_DONTNEED) != 0) {
    Die("pages of a mapped file cannot be given back");
  }
}

size_t ResidentLimit::resident_pages() const {
  std::vector<unsigned char> is_there(file_pages_);
  if (::mincore(mapped_, file_pages_ * kPageBytes, is_there.data()) != 0) {
    Die("a mapped file does not tell what is in memory");
  }
  return static_cast<size_t>(
      std::ranges::count_if(is_there, [](unsigned char it) { return (it & 1) != 0; }));
}

}  // namespace granary::bench
