// LMDB's B+-tree, a mapped file that the operating system keeps in memory.
#ifndef GRANARY_BENCH_BUFFER_LMDB_TREE_H_
#define GRANARY_BENCH_BUFFER_LMDB_TREE_H_

#include <lmdb.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "bench/buffer/resident_limit.h"
#include "bench/buffer/tree_entries.h"
#include "bench/compaction/temporary_folder.h"
#include "bench/program.h"

namespace granary::bench {

inline void CheckLmdb(int error, const char* what) {
  if (error != 0) [[unlikely]]
    Die(std::string("LMDB: ") + what + ": " + ::mdb_strerror(error));
}

class LmdbTree {
 public:
  // Empty; the operating system has all of it in memory.
  explicit LmdbTree(size_t entries) : map_bytes_(entries * 128 + (size_t{1} << 20)) {
    // Nobody waits for the disk: granary has no log here.
    OpenEnvironment(MDB_NOSUBDIR | MDB_NOTLS | MDB_NOSYNC | MDB_NOMETASYNC);
  }
  // The same; Settle limits it.
  LmdbTree(size_t entries, size_t /*frames*/) : LmdbTree(entries) {
    why_skipped_ = ResidentLimit::WhyNot(path_);
  }
  ~LmdbTree() {
    if (writing_ != nullptr) ::mdb_txn_abort(writing_);
    ::mdb_env_close(environment_);
  }
  LmdbTree(const LmdbTree&) = delete;
  LmdbTree& operator=(const LmdbTree&) = delete;

  const std::string& why_skipped() const { return why_skipped_; }

  // All in one transaction, which is what LMDB does fastest.
  void Insert(uint64_t entry) { Put(entry, MDB_NOOVERWRITE); }
  void Finish() {
    CheckLmdb(::mdb_txn_commit(writing_), "mdb_txn_commit");
    writing_ = nullptr;
  }
  // In ascending order, and the pages as full as they can be.
  void Fill(size_t entries) {
    for (size_t entry = 0; entry < entries; ++entry) Put(entry, MDB_APPEND);
    Finish();
  }

  // From here on it reads, and has no more than `pages` of its file in memory.
  void Settle(size_t pages) {
    CheckLmdb(::mdb_env_sync(environment_, 1), "mdb_env_sync");
    ::mdb_env_close(environment_);
    // No reading ahead, which would bring what nobody asked for.
    OpenEnvironment(MDB_NOSUBDIR | MDB_NOTLS | MDB_RDONLY | MDB_NORDAHEAD);
    MDB_envinfo info;
    CheckLmdb(::mdb_env_info(environment_, &info), "mdb_env_info");
    MDB_txn* reading = nullptr;
    CheckLmdb(::mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &reading), "mdb_txn_begin");
    MDB_stat stat;
    CheckLmdb(::mdb_stat(reading, database_, &stat), "mdb_stat");
    // Any page that is mapped tells where the file is.
    uint64_t key_word = KeyOf(0);
    MDB_val key = {sizeof(key_word), &key_word};
    MDB_val value;
    CheckLmdb(::mdb_get(reading, database_, &key, &value), "mdb_get");
    ::mdb_txn_abort(reading);
    int descriptor = -1;
    CheckLmdb(::mdb_env_get_fd(environment_, &descriptor), "mdb_env_get_fd");
    // Besides the leaves the inner nodes and two meta pages stay.
    limit_ = std::make_unique<ResidentLimit>(descriptor, info.me_last_pgno + 1, value.mv_data,
                                             pages - stat.ms_branch_pages - 2);
  }

  // Pages of the file that are in memory.
  size_t resident_pages() const { return limit_->resident_pages(); }

  MDB_env* environment() const { return environment_; }
  MDB_dbi database() const { return database_; }
  // nullptr as long as there is none.
  ResidentLimit* limit() const { return limit_.get(); }

 private:
  void OpenEnvironment(unsigned flags) {
    CheckLmdb(::mdb_env_create(&environment_), "mdb_env_create");
    CheckLmdb(::mdb_env_set_mapsize(environment_, map_bytes_), "mdb_env_set_mapsize");
    CheckLmdb(::mdb_env_open(environment_, path_.c_str(), flags, 0600), "mdb_env_open");
    MDB_txn* opening = nullptr;
    const bool reads = (flags & MDB_RDONLY) != 0;
    CheckLmdb(::mdb_txn_begin(environment_, nullptr, reads ? MDB_RDONLY : 0, &opening),
              "mdb_txn_begin");
    CheckLmdb(
        ::mdb_dbi_open(opening, nullptr, MDB_INTEGERKEY | (reads ? 0 : MDB_CREATE), &database_),
        "mdb_dbi_open");
    CheckLmdb(::mdb_txn_commit(opening), "mdb_txn_commit");
  }

  void Put(uint64_t entry, unsigned flags) {
    if (writing_ == nullptr) {
      CheckLmdb(::mdb_txn_begin(environment_, nullptr, 0, &writing_), "mdb_txn_begin");
    }
    uint64_t key_word = KeyOf(entry);
    uint64_t value_word = ValueOf(entry);
    MDB_val key = {sizeof(key_word), &key_word};
    MDB_val value = {sizeof(value_word), &value_word};
    CheckLmdb(::mdb_put(writing_, database_, &key, &value, flags), "mdb_put");
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_.PathOf("tree");
  const size_t map_bytes_;
  MDB_env* environment_ = nullptr;
  MDB_dbi database_ = 0;
  MDB_txn* writing_ = nullptr;
  std::unique_ptr<ResidentLimit> limit_;
  std::string why_skipped_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_LMDB_TREE_H_
