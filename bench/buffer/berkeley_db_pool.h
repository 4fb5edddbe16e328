// Berkeley DB's buffer pool, the memory pool subsystem under its access methods, used by itself.
#ifndef GRANARY_BENCH_BUFFER_BERKELEY_DB_POOL_H_
#define GRANARY_BENCH_BUFFER_BERKELEY_DB_POOL_H_

#include <db.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/buffer/pages.h"
#include "bench/program.h"

namespace granary::bench {

class BerkeleyDbPool {
 public:
  static constexpr const char* kName = "bdb_mpool";
  static constexpr size_t kThreadsMax = SIZE_MAX;

  explicit BerkeleyDbPool(size_t pages) {
    Check(::db_env_create(&environment_, 0), "db_env_create");
    // Half as much again: headers, and one cache instead of several smaller ones.
    const size_t cache_bytes = pages * (kPageBytes + kPageBytes / 2) + (size_t{1} << 20);
    Check(environment_->set_cachesize(environment_, static_cast<uint32_t>(cache_bytes >> 30),
                                      static_cast<uint32_t>(cache_bytes & ((size_t{1} << 30) - 1)),
                                      1),
          "set_cachesize");
    // As many chains in its hash table as there are pages.
    Check(environment_->set_mp_pagesize(environment_, kPageBytes), "set_mp_pagesize");
    Check(environment_->set_mp_tablesize(environment_, static_cast<uint32_t>(pages)),
          "set_mp_tablesize");
    Check(environment_->open(environment_, nullptr,
                             DB_CREATE | DB_INIT_MPOOL | DB_PRIVATE | DB_THREAD, 0),
          "DB_ENV->open");
    Check(environment_->memp_fcreate(environment_, &file_, 0), "memp_fcreate");
    // Pages that are nowhere but in the pool.
    Check(file_->set_flags(file_, DB_MPOOL_NOFILE, 1), "set_flags");
    Check(file_->open(file_, nullptr, DB_CREATE, 0, kPageBytes), "DB_MPOOLFILE->open");
    for (size_t page = 0; page < pages; ++page) {
      std::byte* const bytes = Get(page, DB_MPOOL_CREATE | DB_MPOOL_DIRTY);
      WriteWord(bytes, page);
      Put(bytes);
    }
  }
  ~BerkeleyDbPool() {
    file_->close(file_, 0);
    environment_->close(environment_, 0);
  }
  BerkeleyDbPool(const BerkeleyDbPool&) = delete;
  BerkeleyDbPool& operator=(const BerkeleyDbPool&) = delete;

  [[gnu::always_inline]] uint64_t Read(uint64_t page) {
    std::byte* const bytes = Get(page, 0);
    const uint64_t word = ReadWord(bytes, page);
    Put(bytes);
    return word;
  }

 private:
  [[gnu::always_inline]] std::byte* Get(uint64_t page, uint32_t flags) {
    auto number = static_cast<db_pgno_t>(page);
    void* bytes = nullptr;
    const int error = file_->get(file_, &number, nullptr, flags, &bytes);
    if (error != 0) [[unlikely]]
      Check(error, "DB_MPOOLFILE->get");
    return static_cast<std::byte*>(bytes);
  }

  [[gnu::always_inline]] void Put(std::byte* bytes) {
    const int error = file_->put(file_, bytes, DB_PRIORITY_UNCHANGED, 0);
    if (error != 0) [[unlikely]]
      Check(error, "DB_MPOOLFILE->put");
  }

  static void Check(int error, const char* what) {
    if (error != 0) Die(std::string("Berkeley DB: ") + what + ": " + ::db_strerror(error));
  }

  DB_ENV* environment_ = nullptr;
  DB_MPOOLFILE* file_ = nullptr;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_BERKELEY_DB_POOL_H_
