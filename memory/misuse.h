// The end of the road for misuse that can be detected and not refused: a double free, an
// overwritten red zone, an unbalanced rewind.
#ifndef GRANARY_MEMORY_MISUSE_H_
#define GRANARY_MEMORY_MISUSE_H_

namespace granary {

// Writes "granary: misuse: " and the formatted message to stderr and calls std::abort. The message
// names both sides: the object concerned and the call that found it. Allocates nothing.
[[noreturn, gnu::cold, gnu::format(printf, 1, 2)]] void AbortOnMisuse(const char* format,
                                                                      ...) noexcept;

}  // namespace granary

#endif  // GRANARY_MEMORY_MISUSE_H_
