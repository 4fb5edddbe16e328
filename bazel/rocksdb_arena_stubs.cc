// What RocksDB's arena refers to and never calls here: logging, and the accounting of a
// WriteBufferManager that no benchmark passes. The real ones would bring most of RocksDB with them.
#include <cstdarg>
#include <cstddef>

#include "rocksdb/env.h"
#include "rocksdb/write_buffer_manager.h"

namespace ROCKSDB_NAMESPACE {

void Log(InfoLogLevel, Logger*, const char*, ...) {}

void WriteBufferManager::ReserveMem(size_t) {}
void WriteBufferManager::ScheduleFreeMem(size_t) {}
void WriteBufferManager::FreeMem(size_t) {}

}  // namespace ROCKSDB_NAMESPACE
