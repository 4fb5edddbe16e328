// What granary tells the memory checkers: AddressSanitizer, MemorySanitizer and Valgrind's
// memcheck.
//
// An allocator that carves objects out of blocks hides their bounds from the checkers, which see
// one valid block. Whoever hands memory out or takes it back says so here, and an access outside an
// object is then reported at the access.
//
// Nothing here costs anything in a release build without a sanitizer: every function is empty, and
// a test compares the object code of the arena's hot path with and without it.
#ifndef GRANARY_MEMORY_SANITIZER_H_
#define GRANARY_MEMORY_SANITIZER_H_

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define GRANARY_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GRANARY_ASAN 1
#endif
#if __has_feature(memory_sanitizer)
#define GRANARY_MSAN 1
#endif
#endif

#if defined(GRANARY_ASAN)
#include <sanitizer/asan_interface.h>
#endif
#if defined(GRANARY_MSAN)
#include <sanitizer/msan_interface.h>
#endif
// Valgrind's requests are a few instructions that do nothing outside Valgrind. Debug builds carry
// them wherever its header is installed.
#if !defined(NDEBUG) && !defined(GRANARY_ASAN) && !defined(GRANARY_MSAN) && \
    __has_include(<valgrind/memcheck.h>)
#define GRANARY_VALGRIND 1
#include <valgrind/memcheck.h>
#endif

namespace granary {

// Whether this build checks what it hands out where that costs more than a constant: debug builds
// and sanitizer builds.
#if !defined(NDEBUG) || defined(GRANARY_ASAN) || defined(GRANARY_MSAN) || \
    defined(__SANITIZE_THREAD__)
inline constexpr bool kCheckedBuild = true;
#else
inline constexpr bool kCheckedBuild = false;
#endif

// Whether an access to memory marked with MarkFree is reported at once. AddressSanitizer's marks
// have a granularity of 8 bytes: a range should begin on a multiple of 8 to be marked whole.
#if defined(GRANARY_ASAN)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

// [p, p + bytes) belongs to nobody: any access to it is an error.
inline void MarkFree([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) noexcept {
#if defined(GRANARY_ASAN)
  ASAN_POISON_MEMORY_REGION(p, bytes);
#elif defined(GRANARY_MSAN)
  __msan_allocated_memory(p, bytes);
#elif defined(GRANARY_VALGRIND)
  VALGRIND_MAKE_MEM_NOACCESS(p, bytes);
#endif
}

// [p, p + bytes) is handed out: it may be written, and read once it has been written.
inline void MarkAllocated([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) noexcept {
#if defined(GRANARY_ASAN)
  ASAN_UNPOISON_MEMORY_REGION(p, bytes);
#elif defined(GRANARY_MSAN)
  __msan_allocated_memory(p, bytes);
#elif defined(GRANARY_VALGRIND)
  VALGRIND_MAKE_MEM_UNDEFINED(p, bytes);
#endif
}

// [p, p + bytes) may be read and written, with whatever it contains: for an allocator's own look
// into memory, and before memory goes back to where it came from.
inline void MarkReadable([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) noexcept {
#if defined(GRANARY_ASAN)
  ASAN_UNPOISON_MEMORY_REGION(p, bytes);
#elif defined(GRANARY_MSAN)
  __msan_unpoison(p, bytes);
#elif defined(GRANARY_VALGRIND)
  VALGRIND_MAKE_MEM_DEFINED(p, bytes);
#endif
}

}  // namespace granary

#endif  // GRANARY_MEMORY_SANITIZER_H_
