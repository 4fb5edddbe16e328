#include "bench/compaction/sqlite_blobs.h"

#include "bench/program.h"

namespace granary::bench {

SqliteBlobs::SqliteBlobs(const std::string& path) {
  sqlite3* database = nullptr;
  const int status = ::sqlite3_open(path.c_str(), &database);
  database_.reset(database);
  if (status != SQLITE_OK) Fail("sqlite3_open");
  Execute("CREATE TABLE blobs (id INTEGER PRIMARY KEY, bytes BLOB)");
  add_ = Prepare("INSERT INTO blobs (bytes) VALUES (?)");
  remove_ = Prepare("DELETE FROM blobs WHERE id = ?");
  load_ = Prepare("SELECT bytes FROM blobs WHERE id = ?");
}

void SqliteBlobs::Begin() { Execute("BEGIN"); }

SqliteBlobs::Id SqliteBlobs::Add(std::span<const std::byte> bytes) {
  // The bytes stay until the statement has run: SQLite need not copy them.
  if (::sqlite3_bind_blob64(add_.get(), 1, bytes.data(), bytes.size(), nullptr) != SQLITE_OK) {
    Fail("sqlite3_bind_blob64");
  }
  Run(add_.get());
  return ::sqlite3_last_insert_rowid(database_.get());
}

void SqliteBlobs::Remove(Id id) {
  if (::sqlite3_bind_int64(remove_.get(), 1, id) != SQLITE_OK) Fail("sqlite3_bind_int64");
  Run(remove_.get());
  if (::sqlite3_changes(database_.get()) != 1) Die("there is no blob " + std::to_string(id));
}

void SqliteBlobs::Commit() { Execute("COMMIT"); }

std::vector<std::byte> SqliteBlobs::Load(Id id) {
  if (::sqlite3_bind_int64(load_.get(), 1, id) != SQLITE_OK) Fail("sqlite3_bind_int64");
  if (::sqlite3_step(load_.get()) != SQLITE_ROW) Fail("SELECT");
  const auto* const bytes = static_cast<const std::byte*>(::sqlite3_column_blob(load_.get(), 0));
  std::vector<std::byte> copy(bytes, bytes + ::sqlite3_column_bytes(load_.get(), 0));
  ::sqlite3_reset(load_.get());
  return copy;
}

void SqliteBlobs::Vacuum() { Execute("VACUUM"); }

void SqliteBlobs::Fail(const char* what) const {
  Die(std::string("SQLite: ") + what + ": " + ::sqlite3_errmsg(database_.get()));
}

void SqliteBlobs::Execute(const char* sql) {
  if (::sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) Fail(sql);
}

SqliteBlobs::Statement SqliteBlobs::Prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (::sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr) != SQLITE_OK) Fail(sql);
  return Statement(statement);
}

void SqliteBlobs::Run(sqlite3_stmt* statement) {
  if (::sqlite3_step(statement) != SQLITE_DONE) Fail(::sqlite3_sql(statement));
  ::sqlite3_reset(statement);
}

}  // namespace granary::bench
