// Blobs in a table of SQLite, as it is configured by default; a change is a transaction.
#ifndef GRANARY_BENCH_COMPACTION_SQLITE_BLOBS_H_
#define GRANARY_BENCH_COMPACTION_SQLITE_BLOBS_H_

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace granary::bench {

class SqliteBlobs {
 public:
  static constexpr const char* kName = "sqlite";
  using Id = int64_t;

  // In memory, or in a new file.
  explicit SqliteBlobs(const std::string& path = ":memory:");

  void Begin();
  Id Add(std::span<const std::byte> bytes);
  void Remove(Id id);
  void Commit();
  std::vector<std::byte> Load(Id id);

  // Writes the file anew, without what is free in it.
  void Vacuum();

 private:
  struct Close {
    void operator()(sqlite3* database) const noexcept { ::sqlite3_close(database); }
    void operator()(sqlite3_stmt* statement) const noexcept { ::sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  [[noreturn]] void Fail(const char* what) const;
  void Execute(const char* sql);
  Statement Prepare(const char* sql);
  // A statement that gives no rows, and may be run again.
  void Run(sqlite3_stmt* statement);

  std::unique_ptr<sqlite3, Close> database_;
  Statement add_;
  Statement remove_;
  Statement load_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_SQLITE_BLOBS_H_
