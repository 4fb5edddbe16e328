// Hierarchical pools as implementations of the life of a query. Their blocks are sized by
// themselves (APR) or by the caller once (talloc).
#ifndef GRANARY_BENCH_ARENA_POOLS_H_
#define GRANARY_BENCH_ARENA_POOLS_H_

#include <apr_allocator.h>
#include <apr_general.h>
#include <apr_pools.h>
#include <talloc.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace granary::bench {

// A root pool with an allocator of its own, as servers keep one for each thread, and below it the
// query's pool. The allocator keeps freed nodes, so that a steady state calls no malloc.
class AprPoolBase {
 public:
  AprPoolBase(const AprPoolBase&) = delete;
  AprPoolBase& operator=(const AprPoolBase&) = delete;

  // APR aligns to 8 bytes only: 8 more make room for what its user has to add.
  void* Aligned(size_t bytes) {
    const auto p = reinterpret_cast<uintptr_t>(apr_palloc(query_, bytes + 8));
    return reinterpret_cast<void*>((p + 15) & ~uintptr_t{15});
  }

 protected:
  AprPoolBase() {
    static const bool initialized = apr_initialize() == APR_SUCCESS;
    if (!initialized || apr_allocator_create(&allocator_) != APR_SUCCESS ||
        apr_pool_create_ex(&root_, nullptr, nullptr, allocator_) != APR_SUCCESS) {
      std::abort();
    }
    apr_allocator_owner_set(allocator_, root_);
    Create();
  }
  ~AprPoolBase() { apr_pool_destroy(root_); }

  void Create() {
    if (apr_pool_create_ex(&query_, root_, nullptr, nullptr) != APR_SUCCESS) std::abort();
  }
  void Clear() { apr_pool_clear(query_); }
  void Destroy() { apr_pool_destroy(query_); }

 private:
  apr_allocator_t* allocator_ = nullptr;
  apr_pool_t* root_ = nullptr;
  apr_pool_t* query_ = nullptr;
};

// One pool for all queries, cleared after each.
template <size_t /*kBlockBytes*/>
class AprPool : public AprPoolBase {
 public:
  static constexpr const char* kName = "apr_pool";

  void Reset() { Clear(); }
};

// A pool for each query.
template <size_t /*kBlockBytes*/>
class AprPoolNew : public AprPoolBase {
 public:
  static constexpr const char* kName = "apr_pool_new";

  void Reset() {
    Destroy();
    Create();
  }
};

// A talloc pool of one block for each query; what does not fit it, talloc takes from malloc.
template <size_t kBlockBytes>
class Talloc {
 public:
  static constexpr const char* kName = "talloc";

  Talloc() : query_(talloc_pool(nullptr, kBlockBytes)) {}
  ~Talloc() { talloc_free(query_); }
  Talloc(const Talloc&) = delete;
  Talloc& operator=(const Talloc&) = delete;

  void* Aligned(size_t bytes) { return talloc_named_const(query_, bytes, "query"); }
  void Reset() {
    talloc_free(query_);
    query_ = talloc_pool(nullptr, kBlockBytes);
  }

 private:
  void* query_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_POOLS_H_
