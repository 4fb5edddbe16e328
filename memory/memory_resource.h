// MemoryResource: the one interface through which everything in granary hands out memory.
//
// A MemoryResource is a std::pmr::memory_resource, so that one pointer serves an engine and its
// standard containers. What it adds is a road for refusal: TryAllocate returns nullptr where
// std::pmr can only throw, so that an engine meets its memory limit as a value.
//
//   granary::Arena arena(options);
//   // Containers: a refusal is the exception BudgetExceeded or std::bad_alloc.
//   std::pmr::vector<Row> rows(&arena);
//   // Engines: a refusal is nullptr.
//   void* page = arena.TryAllocate(4096, 64);
//
// What every resource answers, in every build:
//   - alignment: any power of two up to max_alignment(); anything else is refused;
//   - a size of zero is served as a size of one: the pointer is not null and nobody else's;
//   - a size that overflows when it is rounded up is refused;
//   - after a refusal the resource is exactly as it was before.
//
// Threading is each resource's own matter and stated with it. The concrete classes are final, so
// that a call through the class rather than the interface is inlined.
#ifndef GRANARY_MEMORY_MEMORY_RESOURCE_H_
#define GRANARY_MEMORY_MEMORY_RESOURCE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <new>
#include <string>
#include <string_view>

#include "memory/bump_cursor.h"

namespace granary {

// The alignment that a request without one gets, as in std::pmr.
inline constexpr size_t kDefaultAlignment = alignof(std::max_align_t);

// Thrown by allocate() when a limit, and not the system, refused the memory.
class BudgetExceeded : public std::bad_alloc {
 public:
  // `scope_path` names the limit from the root down, `engine/query 17/sort`. Cost: may allocate
  // from malloc for the message; if even that fails, what() falls back to a fixed text.
  BudgetExceeded(std::string_view scope_path, size_t asked_bytes, size_t limit_bytes) noexcept;
  // Of a scope that was told to end, for `reason`; its limit is 0 from then on.
  BudgetExceeded(std::string_view scope_path, size_t asked_bytes, size_t limit_bytes,
                 std::string_view reason) noexcept;

  const char* what() const noexcept override;
  const std::string& scope_path() const noexcept { return scope_path_; }
  size_t asked_bytes() const noexcept { return asked_bytes_; }
  size_t limit_bytes() const noexcept { return limit_bytes_; }

 private:
  std::string scope_path_;
  std::string message_;
  size_t asked_bytes_;
  size_t limit_bytes_;
};

// What a resource has handed out and what it holds for it. All figures are of this moment.
struct MemoryStats {
  // Bytes in the hands of callers, as the resource counts them (its class says whether rounding is
  // included).
  size_t asked_bytes = 0;
  // Bytes that serve those requests and can serve no other: asked_bytes, headers, padding and tails
  // left behind.
  size_t used_bytes = 0;
  // Bytes taken from upstream, used or kept for later. held_bytes >= used_bytes >= asked_bytes.
  size_t held_bytes = 0;
};

// The first bytes of a block that is part of a chain. The owner of the block writes them; whoever
// takes the chain reads them.
struct BlockLink {
  BlockLink* next;
  // The size with which the block was allocated, this link included.
  size_t bytes;
};

// Blocks that go back upstream together: `first` to `last` along `next`. What lies behind
// last->next is not part of the chain.
struct BlockChain {
  BlockLink* first = nullptr;
  BlockLink* last = nullptr;
  size_t count = 0;
  // The sum of the blocks' sizes.
  size_t bytes = 0;
};

class MemoryResource : public std::pmr::memory_resource {
 public:
  // The alignment of every block in a chain.
  static constexpr size_t kChainAlignment = kDefaultAlignment;

  MemoryResource(const MemoryResource&) = delete;
  MemoryResource& operator=(const MemoryResource&) = delete;

  // `bytes` of memory aligned to `alignment`, or nullptr, and then nothing has changed.
  [[nodiscard]] virtual void* TryAllocate(size_t bytes, size_t alignment) noexcept = 0;

  // Grows or shrinks an allocation where it stands: true if [p, p + new_bytes) is the caller's now,
  // false if nothing has changed. After true the allocation is to be deallocated with `new_bytes`.
  // A resource that cannot do it answers false; so does the default.
  [[nodiscard]] virtual bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                                       size_t alignment) noexcept;

  // The figures of this moment. Never blocks an allocation.
  virtual MemoryStats Stats() const noexcept = 0;

  // Gives memory that serves no request back upstream; returns how many bytes. The default keeps
  // nothing and returns 0.
  virtual size_t Trim() noexcept;

  // Takes back blocks that this resource allocated with kChainAlignment, all at once. A page pool
  // does it in one splice; the default deallocates one block after the other.
  virtual void ReleaseChain(const BlockChain& chain) noexcept;

  // The size of every block, if this resource has blocks of one size and refuses what is larger (a
  // page pool); otherwise 0. Who stands on it makes its own blocks of that size.
  virtual size_t block_bytes() const noexcept { return 0; }

  // Throws what a refused allocate() throws. A resource under a limit overrides it to throw
  // BudgetExceeded; one that stands on another resource passes the call on, so that the exception
  // names the limit that was met.
  [[noreturn]] virtual void ThrowRefusal(size_t bytes, size_t alignment) const;

  // True if deallocate() does nothing, so that a container may skip its teardown.
  bool deallocate_is_noop() const noexcept { return deallocate_is_noop_; }

  // The largest alignment this resource serves, in bytes; a power of two.
  size_t max_alignment() const noexcept { return size_t{1} << max_alignment_log2_; }

 protected:
  enum class Deallocation : uint8_t { kFrees, kNoop };

  MemoryResource(Deallocation deallocation, size_t max_alignment) noexcept
      : deallocate_is_noop_(deallocation == Deallocation::kNoop),
        max_alignment_log2_(static_cast<uint8_t>(std::countr_zero(max_alignment))) {}
  ~MemoryResource() override = default;

  // Memory that allocate() may hand out by itself. A resource that bumps keeps its free memory
  // here; in every other it stays empty.
  BumpCursor& cursor() noexcept { return cursor_; }
  const BumpCursor& cursor() const noexcept { return cursor_; }

 private:
  void* do_allocate(size_t bytes, size_t alignment) final;
  void* AllocateVirtual(size_t bytes, size_t alignment);
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override;

  // One cache line with the vtable pointer.
  bool deallocate_is_noop_;
  uint8_t max_alignment_log2_;
  BumpCursor cursor_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_MEMORY_RESOURCE_H_
