// TestedPool: the buffer pool that a test is about. The same tests are built once for each.
#ifndef GRANARY_POOL_BUFFER_TESTING_TESTED_POOL_H_
#define GRANARY_POOL_BUFFER_TESTING_TESTED_POOL_H_

#include <type_traits>

#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/page_scope.h"

#if !defined(GRANARY_TESTED_POOL)
#define GRANARY_TESTED_POOL BufferPool
#endif

namespace granary {

using TestedPool = GRANARY_TESTED_POOL;
using TestedPageScope = BasicPageScope<TestedPool>;
inline constexpr bool kIsHashPool = std::is_same_v<TestedPool, HashBufferPool>;

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_TESTING_TESTED_POOL_H_
