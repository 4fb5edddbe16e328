// One thread's view of an LMDB tree.
#ifndef GRANARY_BENCH_BUFFER_LMDB_READERS_H_
#define GRANARY_BENCH_BUFFER_LMDB_READERS_H_

#include <lmdb.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bench/buffer/lmdb_tree.h"
#include "bench/buffer/resident_limit.h"
#include "bench/buffer/tree_entries.h"

namespace granary::bench {

// What readers have in common.
class LmdbView {
 public:
  LmdbView(const LmdbView&) = delete;
  LmdbView& operator=(const LmdbView&) = delete;

  // Gives back what was read beyond the limit, if there is one. Not while timed.
  void KeepToLimit() {
    if (limit_ == nullptr) return;
    for (const void* const address : touched_) limit_->Touch(address);
    touched_.clear();
  }

 protected:
  explicit LmdbView(LmdbTree& tree) : limit_(tree.limit()), database_(tree.database()) {
    CheckLmdb(::mdb_txn_begin(tree.environment(), nullptr, MDB_RDONLY, &reading_), "mdb_txn_begin");
  }
  ~LmdbView() { ::mdb_txn_abort(reading_); }

  // The value, which is where its leaf is.
  [[gnu::always_inline]] uint64_t Take(const MDB_val& value) {
    if (limit_ != nullptr) touched_.push_back(value.mv_data);
    uint64_t word;
    std::memcpy(&word, value.mv_data, sizeof(word));
    return word;
  }
  uint64_t Walk(MDB_cursor* cursor, uint64_t entry, size_t count) {
    uint64_t key_word = KeyOf(entry);
    MDB_val key = {sizeof(key_word), &key_word};
    MDB_val value;
    CheckLmdb(::mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE), "mdb_cursor_get");
    uint64_t values = Take(value);
    while (--count != 0) {
      CheckLmdb(::mdb_cursor_get(cursor, &key, &value, MDB_NEXT), "mdb_cursor_get");
      values += Take(value);
    }
    return values;
  }

  ResidentLimit* limit_;
  MDB_txn* reading_ = nullptr;
  MDB_dbi database_;

 private:
  std::vector<const void*> touched_;
};

// A transaction of its own for each lookup, which sees what was committed last: the same object,
// reset and renewed, as LMDB's authors advise.
class LmdbReader : public LmdbView {
 public:
  explicit LmdbReader(LmdbTree& tree) : LmdbView(tree) {
    CheckLmdb(::mdb_cursor_open(reading_, database_, &cursor_), "mdb_cursor_open");
    ::mdb_txn_reset(reading_);
  }
  ~LmdbReader() { ::mdb_cursor_close(cursor_); }

  [[gnu::always_inline]] uint64_t Find(uint64_t entry) {
    CheckLmdb(::mdb_txn_renew(reading_), "mdb_txn_renew");
    uint64_t key_word = KeyOf(entry);
    MDB_val key = {sizeof(key_word), &key_word};
    MDB_val value;
    CheckLmdb(::mdb_get(reading_, database_, &key, &value), "mdb_get");
    const uint64_t word = Take(value);
    ::mdb_txn_reset(reading_);
    return word;
  }
  uint64_t Scan(uint64_t entry, size_t count) {
    CheckLmdb(::mdb_txn_renew(reading_), "mdb_txn_renew");
    CheckLmdb(::mdb_cursor_renew(reading_, cursor_), "mdb_cursor_renew");
    const uint64_t values = Walk(cursor_, entry, count);
    ::mdb_txn_reset(reading_);
    return values;
  }

 private:
  MDB_cursor* cursor_ = nullptr;
};

// One transaction and one cursor for all lookups: what was committed since is not seen, and no
// page of it can be used again.
class LmdbCursorReader : public LmdbView {
 public:
  explicit LmdbCursorReader(LmdbTree& tree) : LmdbView(tree) {
    CheckLmdb(::mdb_cursor_open(reading_, database_, &cursor_), "mdb_cursor_open");
  }
  ~LmdbCursorReader() { ::mdb_cursor_close(cursor_); }

  [[gnu::always_inline]] uint64_t Find(uint64_t entry) {
    uint64_t key_word = KeyOf(entry);
    MDB_val key = {sizeof(key_word), &key_word};
    MDB_val value;
    CheckLmdb(::mdb_cursor_get(cursor_, &key, &value, MDB_SET), "mdb_cursor_get");
    return Take(value);
  }
  uint64_t Scan(uint64_t entry, size_t count) { return Walk(cursor_, entry, count); }

 private:
  MDB_cursor* cursor_ = nullptr;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_LMDB_READERS_H_
