// Engine: runs queries on threads, each in a QueryScope of its own.
//
//   granary::EngineMemory memory({.limit_bytes = size_t{256} << 20});
//   Tables tables(0.1, memory.resource());
//   Engine engine(memory, tables);
//   const auto outcome = engine.Run({.text = "from lineitem group order limit 10"});
//
// Threading. Run and Cancel from any thread.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_ENGINE_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>

#include "integration/engine_memory.h"
#include "integration/examples/query_engine/result.h"
#include "integration/examples/query_engine/spill_file.h"
#include "integration/examples/query_engine/tables.h"
#include "integration/query_scope.h"

namespace granary::query_engine {

struct QueryRequest {
  std::string text;
  // Given by the caller, and different from those of other queries that run, if it is to be
  // cancelled.
  uint64_t id = 0;
  size_t limit_bytes = SIZE_MAX;
};

// What became of a query.
struct Outcome {
  // None if it finished; otherwise kOutOfMemory if it was refused memory, kAborted if it was
  // cancelled, kIo, kInvalidArgument.
  std::optional<Error> error;
  Digest digest;
  uint64_t spilled_bytes = 0;
  // The most that its scope had.
  size_t peak_bytes = 0;
  double seconds = 0;
  // Its first rows, in the memory of the engine's results until this is gone.
  std::unique_ptr<ResultScope> scope;
  std::span<const Row> rows;
};

class Engine {
 public:
  // All outlive it.
  Engine(EngineMemory& memory, const Tables& tables,
         SpillStorageFactory spill_storage = TemporaryFiles())
      : memory_(memory), tables_(tables), spill_storage_(std::move(spill_storage)) {}

  // On the calling thread.
  Outcome Run(const QueryRequest& request);

  // Ends a query that runs. False if there is none by that id.
  bool Cancel(uint64_t id);

 private:
  // A query that can be cancelled, until it ends in whatever way.
  class Running {
   public:
    Running(Engine& engine, uint64_t id, QueryScope& scope);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Engine& engine_;
    const uint64_t id_;
  };

  Expected<std::span<const Row>> RunIn(QueryScope& scope, const QueryRequest& request,
                                       Outcome* outcome);

  EngineMemory& memory_;
  const Tables& tables_;
  const SpillStorageFactory spill_storage_;
  std::mutex mutex_;
  std::unordered_map<uint64_t, QueryScope*> running_;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_ENGINE_H_
