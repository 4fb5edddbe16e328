// DPDK's rte_mempool as an implementation: a ring of all objects, and a cache for each thread that
// has introduced itself.
//
// DPDK's environment starts when it is first needed, as that takes a tenth of a second, without
// huge pages, devices or files. It stays until the process ends, and so do the pools, whose making
// touches every page.
#ifndef GRANARY_BENCH_POOL_DPDK_MEMPOOL_H_
#define GRANARY_BENCH_POOL_DPDK_MEMPOOL_H_

// First: the others' headers rely on it.
#include <rte_config.h>
// Then the rest.
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "bench/program.h"

namespace granary::bench {

// Starts the environment at the first call; returns why it does not start, or nothing.
inline const std::string& WhyDpdkDoesNotStart() {
  static const std::string why = []() -> std::string {
    // It makes a folder there even if it writes nothing into it.
    std::error_code ignored;
    const std::string folder = std::filesystem::temp_directory_path(ignored).string();
    setenv("RUNTIME_DIRECTORY", folder.c_str(), 0);
    std::array arguments = {
        std::string("granary"),        std::string("--no-huge"),      std::string("--no-pci"),
        std::string("--no-shconf"),    std::string("--no-telemetry"), std::string("--no-hpet"),
        std::string("--iova-mode=va"), std::string("--lcores=0"),     std::string("-m"),
        std::string("1024"),           std::string("--log-level"),    std::string("error")};
    std::array<char*, arguments.size() + 1> pointers = {};
    std::ranges::transform(arguments, pointers.begin(), [](std::string& s) { return s.data(); });
    // It binds the calling thread to a processor, and with it all threads that this one starts.
    cpu_set_t processors;
    pthread_getaffinity_np(pthread_self(), sizeof(processors), &processors);
    const int result = rte_eal_init(static_cast<int>(arguments.size()), pointers.data());
    const int error = rte_errno;
    pthread_setaffinity_np(pthread_self(), sizeof(processors), &processors);
    if (result >= 0) return "";
    return std::string("DPDK's environment does not start: ") + rte_strerror(error);
  }();
  return why;
}

// Objects are aligned to cache lines, all that it offers: each has a header in front of it.
template <size_t kPageBytes>
class DpdkMempool {
 public:
  static constexpr const char* kName = "dpdk_mempool";
  static constexpr size_t kAlignment = RTE_MEMPOOL_ALIGN;

  // Why there can be none, or nothing.
  static const std::string& WhySkipped() { return WhyDpdkDoesNotStart(); }

  DpdkMempool(size_t thread_count, size_t live_pages)
      : pool_(OfCapacity(thread_count * (live_pages + kKeptPagesMax))) {}

  DpdkMempool& ForThread(size_t /*thread*/) { return *this; }
  void* Allocate() {
    void* page;
    return rte_mempool_get(pool_, &page) == 0 ? page : nullptr;
  }
  void Deallocate(void* page) { rte_mempool_put(pool_, page); }

  void EnterThread() {
    if (rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() != 0) {
      Die("DPDK knows too many threads");
    }
  }
  void LeaveThread() {
    // The one that started the environment stays.
    if (rte_lcore_id() != rte_get_main_lcore()) rte_thread_unregister();
  }

 private:
  static constexpr unsigned kCachePages = 256;
  // A thread's cache grows to half as much again before it is flushed.
  static constexpr size_t kKeptPagesMax = 2 * kCachePages;

  static rte_mempool* OfCapacity(size_t pages) {
    static std::map<size_t, rte_mempool*> pools;
    rte_mempool*& pool = pools[pages];
    if (pool == nullptr) {
      const std::string name = std::to_string(kPageBytes) + "_" + std::to_string(pages);
      pool = rte_mempool_create(name.c_str(), static_cast<unsigned>(pages), kPageBytes, kCachePages,
                                0, nullptr, nullptr, nullptr, nullptr, SOCKET_ID_ANY,
                                RTE_MEMPOOL_F_NO_IOVA_CONTIG);
      if (pool == nullptr) Die(std::string("no rte_mempool: ") + rte_strerror(rte_errno));
    }
    return pool;
  }

  rte_mempool* pool_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_POOL_DPDK_MEMPOOL_H_
