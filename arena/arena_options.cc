#include "arena/arena_options.h"

#include <string>

namespace granary {

namespace {

tl::unexpected<Error> Invalid(std::string message) {
  return tl::make_unexpected(Error{.code = ErrorCode::kInvalidArgument,
                                   .message = std::move(message),
                                   .where = "ArenaOptions::Validate"});
}

}  // namespace

Expected<void> ArenaOptions::Validate() const {
  if (IsValid()) return {};
  if (first_block_bytes < kSmallestBlockBytes) {
    return Invalid("first_block_bytes is " + std::to_string(first_block_bytes) +
                   "; it has to be at least " + std::to_string(kSmallestBlockBytes));
  }
  if (max_block_bytes > kLargestBlockBytes) {
    return Invalid("max_block_bytes is " + std::to_string(max_block_bytes) +
                   "; it may be at most " + std::to_string(kLargestBlockBytes));
  }
  if (first_block_bytes > max_block_bytes) {
    return Invalid("first_block_bytes (" + std::to_string(first_block_bytes) +
                   ") is above max_block_bytes (" + std::to_string(max_block_bytes) + ")");
  }
  if (growth_divisor < 1 || growth_divisor > kLargestGrowthDivisor) {
    return Invalid("growth_divisor is " + std::to_string(growth_divisor) +
                   "; it has to be from 1 to " + std::to_string(kLargestGrowthDivisor));
  }
  return Invalid("name is null");
}

}  // namespace granary
