#include "memory/per_thread.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <boost/intrusive/set.hpp>
#include <mutex>
#include <new>
#include <vector>

namespace granary {

// The PerThreads that live, by id.
struct PerThread::Registry {
  struct IdOf {
    using type = uint64_t;
    type operator()(const PerThread& per_thread) const noexcept { return per_thread.id_; }
  };
  using Alive = boost::intrusive::set<PerThread, boost::intrusive::key_of_value<IdOf>>;

  std::mutex mutex;
  Alive alive;
  // 0 is nobody's: it is what an empty table has.
  uint64_t next_id = 1;
  // How many of those that live have each place in the threads' tables.
  std::array<size_t, kEntries> owners_at = {};

  // Never destroyed: threads may end after static objects are gone.
  static Registry& Get() {
    static Registry* const registry = [] {
      auto* const created = new Registry;
      pthread_atfork([] { Get().BeforeFork(); }, [] { Get().AfterFork(false); },
                     [] { Get().AfterFork(true); });
      return created;
    }();
    return *registry;
  }

  void BeforeFork() noexcept {
    mutex.lock();
    for (PerThread& per_thread : alive) per_thread.owner_.BeforeFork();
  }

  void AfterFork(bool in_child) noexcept {
    for (PerThread& per_thread : alive) per_thread.owner_.AfterFork(in_child);
    mutex.unlock();
  }
};

// What the thread has, whole; the table only has what it met last.
struct PerThread::Records {
  std::vector<Entry> entries;
  // Twice what was alive when the dead were last removed.
  size_t purge_at = 64;
};

constinit thread_local PerThread::Table PerThread::table_ = {};

PerThread::PerThread(Owner& owner) noexcept : owner_(owner) {
  Registry& registry = Registry::Get();
  const std::lock_guard lock(registry.mutex);
  id_ = registry.next_id++;
  const auto emptiest = std::min_element(registry.owners_at.begin(), registry.owners_at.end());
  ++*emptiest;
  place_ = static_cast<size_t>(emptiest - registry.owners_at.begin());
  entry_offset_ = reinterpret_cast<std::byte*>(&table_.entries[place_]) -
                  static_cast<std::byte*>(__builtin_thread_pointer());
  registry.alive.insert(*this);
}

PerThread::~PerThread() {
  Registry& registry = Registry::Get();
  const std::lock_guard lock(registry.mutex);
  registry.alive.erase(registry.alive.iterator_to(*this));
  --registry.owners_at[place_];
}

// A key of the system's and not a thread_local object: its destructor runs after those of all
// thread_local objects, which may still use owners, and again if another key's destructor does.
PerThread::Records* PerThread::RecordsOfThread() noexcept {
  struct Key {
    pthread_key_t key;
    bool valid;
  };
  static const Key created = [] {
    Key made{};
    made.valid = pthread_key_create(&made.key, &ThreadExits) == 0;
    return made;
  }();
  if (!created.valid) return nullptr;
  if (void* const records = pthread_getspecific(created.key)) {
    return static_cast<Records*>(records);
  }
  auto* const records = new (std::nothrow) Records;
  if (records != nullptr && pthread_setspecific(created.key, records) != 0) {
    delete records;
    return nullptr;
  }
  return records;
}

void* PerThread::FindDisplaced() const noexcept {
  const Records* const records = RecordsOfThread();
  if (records == nullptr) return nullptr;
  // The newest first: it is the likeliest to live.
  for (auto entry = records->entries.rbegin(); entry != records->entries.rend(); ++entry) {
    if (entry->id != id_) continue;
    EntryOfThread() = *entry;
    return entry->value;
  }
  return nullptr;
}

bool PerThread::Set(void* value) noexcept {
  Records* const records = RecordsOfThread();
  if (records == nullptr) return false;
  std::vector<Entry>& entries = records->entries;
  if (entries.size() >= records->purge_at) {
    Registry& registry = Registry::Get();
    const std::lock_guard lock(registry.mutex);
    std::erase_if(entries, [&](const Entry& entry) {
      return registry.alive.find(entry.id) == registry.alive.end();
    });
    records->purge_at = std::max<size_t>(64, 2 * entries.size());
  }
  try {
    entries.push_back({id_, value});
  } catch (const std::bad_alloc&) {
    return false;
  }
  EntryOfThread() = entries.back();
  return true;
}

void PerThread::ThreadExits(void* p) noexcept {
  auto* const records = static_cast<Records*>(p);
  table_ = {};
  {
    Registry& registry = Registry::Get();
    const std::lock_guard lock(registry.mutex);
    for (const Entry& entry : records->entries) {
      const auto found = registry.alive.find(entry.id);
      if (found != registry.alive.end()) found->owner_.OnThreadExit(entry.value);
    }
  }
  delete records;
}

}  // namespace granary
