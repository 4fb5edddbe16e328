// Any sequence of commits, decommits, reads and writes of any offsets and sizes, those that make no
// sense included: SystemMemory refuses or serves, and keeps what was written.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "memory/system_memory.h"
#include "memory/testing/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kPages = 32;
  granary::FuzzInput input(data, size);
  const uint64_t options = input.Number(1);
  auto reserved = granary::SystemMemory::Reserve({
      .reserve_bytes = kPages * 4096,
      .commit =
          (options & 1) != 0 ? granary::CommitPolicy::kOnRequest : granary::CommitPolicy::kOnTouch,
      .guard_before_bytes = (options & 2) != 0 ? size_t{4096} : 0,
      .guard_behind_bytes = (options & 4) != 0 ? size_t{4096} : 0,
  });
  if (!reserved) return 0;
  granary::SystemMemory& memory = *reserved;
  const size_t page_bytes = memory.page_bytes();
  const size_t pages = memory.size_bytes() / page_bytes;
  std::vector<bool> committed(pages);
  std::vector<uint8_t> first_bytes(pages);

  while (!input.empty()) {
    const uint64_t command = input.Number(1);
    // Pages mostly; now and then a number of eight bytes that may overflow anything.
    const bool wild = (command & 0x80) != 0;
    const uint64_t offset = wild ? input.Number(8) : input.Number(1) % (kPages + 2) * page_bytes;
    const size_t bytes = wild ? input.Number(8) : input.Number(2) % (2 * memory.size_bytes());
    const bool inside = offset <= memory.size_bytes() && bytes <= memory.size_bytes() - offset;
    switch (command % 3) {
      case 0: {
        const bool done = memory.Commit(offset, bytes).has_value();
        granary::FuzzCheck(done == (inside && offset % page_bytes == 0));
        for (size_t page = 0; done && page < pages; ++page) {
          const size_t begin = page * page_bytes;
          if (bytes != 0 && begin + page_bytes > offset && begin < offset + bytes) {
            committed[page] = true;
          }
        }
        break;
      }
      case 1: {
        const bool done = memory.Decommit(offset, bytes).has_value();
        granary::FuzzCheck(done == inside);
        for (size_t page = 0; done && page < pages; ++page) {
          const size_t begin = page * page_bytes;
          if (begin >= offset && begin + page_bytes <= offset + bytes) {
            committed[page] = false;
            first_bytes[page] = 0;
          }
        }
        break;
      }
      case 2: {
        const size_t page = static_cast<size_t>(offset / page_bytes % pages);
        if (!committed[page]) break;
        first_bytes[page] = static_cast<uint8_t>(bytes);
        std::memset(memory.data() + page * page_bytes, first_bytes[page], page_bytes);
        break;
      }
    }
    size_t committed_pages = 0;
    for (size_t page = 0; page < pages; ++page) {
      if (!committed[page]) continue;
      ++committed_pages;
      granary::FuzzCheck(memory.data()[page * page_bytes] == std::byte{first_bytes[page]});
    }
    granary::FuzzCheck(memory.committed_bytes() == committed_pages * page_bytes);
  }
  return 0;
}
