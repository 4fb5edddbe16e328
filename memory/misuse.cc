#include "memory/misuse.h"

#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace granary {

void AbortOnMisuse(const char* format, ...) noexcept {
  char text[1024] = "granary: misuse: ";
  const size_t prefix = std::strlen(text);
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text + prefix, sizeof(text) - prefix - 1, format, arguments);
  va_end(arguments);
  std::strcat(text, "\n");
  // Straight to the descriptor: stdio's own buffers may be what was overwritten.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
  std::abort();
}

}  // namespace granary
