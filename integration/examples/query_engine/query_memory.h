// QueryMemory and Workspace: what the operators know of memory.
//
// An engine has one such seam. Here it is an interface, so that the benchmark can run the same
// operators on other memory; ScopeMemory is what an engine on granary has behind it.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_QUERY_MEMORY_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_QUERY_MEMORY_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <memory_resource>
#include <new>
#include <utility>

#include "memory/error.h"

namespace granary::query_engine {

// The memory of one operator.
class Workspace {
 public:
  virtual ~Workspace() = default;

  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // For what dies together. What it throws is derived from std::bad_alloc.
  virtual std::pmr::memory_resource& memory() noexcept = 0;
  // Gives all of memory() back. If has_bulk_clear(), objects in it need not be destroyed before.
  virtual void Clear() noexcept = 0;
  virtual bool has_bulk_clear() const noexcept = 0;
  // What it has taken for memory().
  virtual size_t held_bytes() const noexcept = 0;

  // A block beside memory(), until the workspace's end; nullptr on refusal. For once.
  virtual std::byte* TryTakeBuffer(size_t bytes) noexcept = 0;

  // Has `spill(bytes)` called, on any thread, when others lack memory; see OperatorScope.
  virtual void SpillWith(std::function<size_t(size_t bytes)> spill) = 0;
  virtual void StopSpilling() noexcept = 0;

  // Why memory() has thrown `refusal`.
  virtual Error Explain(const std::bad_alloc& refusal) const = 0;

 protected:
  Workspace() = default;
};

// The memory of one query.
class QueryMemory {
 public:
  virtual ~QueryMemory() = default;

  QueryMemory(const QueryMemory&) = delete;
  QueryMemory& operator=(const QueryMemory&) = delete;

  // For what is to live as long as the query: its result.
  virtual std::pmr::memory_resource& memory() noexcept = 0;
  // `name` is a string literal. The workspace ends before the query, and may have one of `shares`
  // equal parts of what the query may have.
  virtual std::unique_ptr<Workspace> NewWorkspace(const char* name, size_t shares) = 0;
  // Why the query is to end before it is done, if it is.
  virtual Expected<void> Check() const = 0;

 protected:
  QueryMemory() = default;
};

// A T in a workspace's memory, which is not destroyed where all goes at once. An empty T has no
// memory.
template <class T>
class State {
 public:
  explicit State(Workspace& workspace) noexcept : workspace_(workspace) { Make(); }
  ~State() { Unmake(); }

  State(const State&) = delete;
  State& operator=(const State&) = delete;

  T& operator*() noexcept { return *Get(); }
  T* operator->() noexcept { return Get(); }
  const T* operator->() const noexcept { return const_cast<State*>(this)->Get(); }

  // A new one in its place, with all memory given back.
  void Clear() noexcept {
    Unmake();
    workspace_.Clear();
    Make();
  }

 private:
  T* Get() noexcept { return std::launder(reinterpret_cast<T*>(bytes_)); }
  void Make() noexcept { new (bytes_) T(&workspace_.memory()); }
  void Unmake() noexcept {
    if (!workspace_.has_bulk_clear()) std::destroy_at(Get());
  }

  Workspace& workspace_;
  alignas(T) std::byte bytes_[sizeof(T)];
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_QUERY_MEMORY_H_
