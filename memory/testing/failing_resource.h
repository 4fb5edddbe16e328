// FailingResource: a strict upstream for tests. It refuses allocations on command, remembers every
// block it has handed out, and holds whoever sits on top to the letter of MemoryResource.
//
//   granary::FailingResource upstream;
//   Arena arena({.upstream = &upstream});
//   upstream.RefuseNth(3);             // the third allocation from now on
//   ...
//   // ~FailingResource fails the test for every block that is still out.
//
// What fails the test, through GoogleTest's ADD_FAILURE: a deallocation with another size or
// alignment than the allocation's, of a pointer that is not out (double, or never allocated), a
// chain whose totals are wrong, and blocks that are out at destruction. New blocks are filled with
// 0xCD and taken ones with 0xDD, so that nobody lives off zeros or leftovers. Threading: any thread
// may call it; one lock covers each call. Cost: that of a hash table, and the filling.
#ifndef GRANARY_MEMORY_TESTING_FAILING_RESOURCE_H_
#define GRANARY_MEMORY_TESTING_FAILING_RESOURCE_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "memory/malloc_resource.h"
#include "memory/memory_resource.h"

namespace granary {

// A MemoryResource over another that counts, checks, and refuses on command.
class FailingResource final : public MemoryResource {
 public:
  // What scope_path() of its refusals says.
  static constexpr const char* kScopePath = "failing resource";

  // `upstream` outlives it.
  explicit FailingResource(MemoryResource& upstream = MallocResource::Default()) noexcept;

  // Fails the test for blocks that are still out, and gives them back.
  ~FailingResource() override;

  // --- Refusing: counted in allocations from this call on, the next one being 1 -----------------

  // Refuses the nth allocation and serves the others.
  void RefuseNth(size_t nth) noexcept;

  // Refuses the nth allocation and all that follow.
  void RefuseFrom(size_t nth) noexcept;

  // Serves everything again.
  void RefuseNone() noexcept;

  // --- Figures ----------------------------------------------------------------------------------

  // Allocations asked for, refused ones included.
  size_t allocation_count() const noexcept;
  // Blocks taken back.
  size_t deallocation_count() const noexcept;
  // Allocations refused on command since the last Refuse... call.
  size_t refusal_count() const noexcept;
  // Blocks that are out now, and their bytes.
  size_t live_count() const noexcept;
  size_t live_bytes() const noexcept;

  // --- MemoryResource ---------------------------------------------------------------------------

  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override;
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override;
  // asked, used and held are all live_bytes().
  MemoryStats Stats() const noexcept override;
  void ReleaseChain(const BlockChain& chain) noexcept override;
  // BudgetExceeded of kScopePath after a refusal on command, otherwise what upstream throws.
  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override;

 private:
  struct Block {
    size_t bytes;
    size_t alignment;
  };

  void do_deallocate(void* p, size_t bytes, size_t alignment) override;
  void Arm(size_t first, size_t last) noexcept;

  MemoryResource& upstream_;
  mutable std::mutex mutex_;
  // All that follows is guarded by `mutex_`.
  std::unordered_map<void*, Block> live_;
  size_t live_bytes_ = 0;
  size_t allocations_ = 0;
  size_t deallocations_ = 0;
  size_t refusals_ = 0;
  bool refused_last_ = false;
  // Allocations since the last command, and which of them are refused: [first, last].
  size_t since_command_ = 0;
  size_t refuse_first_ = 0;
  size_t refuse_last_ = 0;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_TESTING_FAILING_RESOURCE_H_
