// CallSite: where a call stands in the source, for reports of misuse.
//
// std::source_location, which clang 14 does not have. As a defaulted argument it is the caller's
// place, and costs nothing where it is not used.
#ifndef GRANARY_POOL_CALL_SITE_H_
#define GRANARY_POOL_CALL_SITE_H_

#include <cstdint>

namespace granary {

struct CallSite {
  // Null where it is not known: a call through MemoryResource, say.
  const char* file = nullptr;
  uint32_t line = 0;

  static constexpr CallSite Current(const char* file = __builtin_FILE(),
                                    uint32_t line = __builtin_LINE()) noexcept {
    return {file, line};
  }
};

}  // namespace granary

#endif  // GRANARY_POOL_CALL_SITE_H_
