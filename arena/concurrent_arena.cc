#include "arena/concurrent_arena.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "memory/malloc_resource.h"
#include "memory/misuse.h"

namespace granary {

namespace {

// Room for the lane and something to hand out.
constexpr size_t kSmallestFirstBlockBytes = 1024;

// Sizes of ours are those of blocks from upstream, an arena's those of their payloads.
ArenaOptions LaneOptions(const ConcurrentArenaOptions& options) noexcept {
  const auto payload = [](size_t block_bytes) {
    return block_bytes - std::min(block_bytes, Arena::kBlockHeaderBytes);
  };
  // How many bytes all lanes keep together is not a lane's to know: ResetLanes sees to it.
  const bool is_total = options.retention.kind() == Retention::Kind::kKeepBytes;
  return {.first_block_bytes = payload(options.first_block_bytes),
          .max_block_bytes = payload(options.max_block_bytes),
          .growth_divisor = ConcurrentArena::kGrowthDivisor,
          .retention = is_total ? Retention::KeepAll() : options.retention,
          .name = options.name,
          .checks = options.checks};
}

}  // namespace

Expected<void> ConcurrentArenaOptions::Validate() const {
  const auto invalid = [](std::string message) {
    return tl::make_unexpected(Error{.code = ErrorCode::kInvalidArgument,
                                     .message = std::move(message),
                                     .where = "ConcurrentArenaOptions::Validate"});
  };
  if (first_block_bytes < kSmallestFirstBlockBytes) {
    return invalid("first_block_bytes is " + std::to_string(first_block_bytes) +
                   "; it has to be at least " + std::to_string(kSmallestFirstBlockBytes));
  }
  if (first_block_bytes > max_block_bytes) {
    return invalid("first_block_bytes (" + std::to_string(first_block_bytes) +
                   ") is above max_block_bytes (" + std::to_string(max_block_bytes) + ")");
  }
  return LaneOptions(*this).Validate().map_error([](Error error) {
    error.where = "ConcurrentArenaOptions::Validate";
    return error;
  });
}

// --- Lanes
// ----------------------------------------------------------------------------------------

ConcurrentArena::LaneRecord* ConcurrentArena::LaneList::Make(const ArenaOptions& options) noexcept {
  static_assert(kSmallestFirstBlockBytes >= sizeof(LaneRecord) + alignof(LaneRecord) + 256);
  void* const piece = source_.TryAllocate(piece_bytes_, kDefaultAlignment);
  if (piece == nullptr) return nullptr;
  void* place = piece;
  size_t bytes = piece_bytes_;
  std::align(alignof(LaneRecord), sizeof(LaneRecord), place, bytes);
  const std::span<std::byte> first_block(static_cast<std::byte*>(place) + sizeof(LaneRecord),
                                         bytes - sizeof(LaneRecord));
  auto* const lane = ::new (place) LaneRecord(first_block, options);
  lane->piece = piece;
  lane->overhead_bytes = piece_bytes_ - lane->arena.given_block_->bytes;
  return lane;
}

void ConcurrentArena::LaneList::Destroy(LaneRecord* lane) noexcept {
  void* const piece = lane->piece;
  lane->~LaneRecord();
  source_.deallocate(piece, piece_bytes_, kDefaultAlignment);
}

ConcurrentArena::LaneList::~LaneList() {
  LaneRecord* lane = newest();
  while (lane != nullptr) {
    LaneRecord* const older = lane->older;
    Destroy(lane);
    lane = older;
  }
}

ConcurrentArena::LaneRecord* ConcurrentArena::FindLane() const noexcept {
  void* lane = per_thread_.Find();
  if (lane == nullptr) lane = per_thread_.FindDisplaced();
  return static_cast<LaneRecord*>(lane);
}

ConcurrentArena::LaneRecord* ConcurrentArena::TakeLane() noexcept {
  source_.CheckOpen("a thread's first allocation");
  {
    const std::lock_guard lock(mutex_);
    if (!free_lanes_.empty()) {
      // The one that was freed last: it is the likeliest to be in a cache.
      LaneRecord& lane = free_lanes_.front();
      free_lanes_.pop_front();
      lane.state = LaneState::kInUse;
      lane.arena.DisownThread();
      return &lane;
    }
  }
  return lanes_.Make(lane_options_);
}

void ConcurrentArena::Settle(LaneRecord* lane) noexcept {
  if (lane->state != LaneState::kNew) return;
  const std::lock_guard lock(mutex_);
  lane->state = LaneState::kInUse;
  lanes_.Push(lane);
}

void ConcurrentArena::TakeBack(LaneRecord* lane) noexcept {
  if (lane->state == LaneState::kNew) {
    lanes_.Destroy(lane);
    return;
  }
  const std::lock_guard lock(mutex_);
  FreeLocked(lane);
}

void ConcurrentArena::FreeLocked(LaneRecord* lane) noexcept {
  lane->state = LaneState::kFree;
  // During a reset the lane is the resetting thread's, and so is the figure.
  if (!source_.closed()) lane->arena.Publish();
  free_lanes_.push_front(*lane);
}

void ConcurrentArena::OnThreadExit(void* lane) noexcept {
  const std::lock_guard lock(mutex_);
  FreeLocked(static_cast<LaneRecord*>(lane));
}

void ConcurrentArena::BeforeFork() noexcept { mutex_.lock(); }

void ConcurrentArena::AfterFork(bool in_child) noexcept {
  if (in_child) {
    const LaneRecord* const mine = FindLane();
    for (LaneRecord* lane = lanes_.newest(); lane != nullptr; lane = lane->older) {
      if (lane->state == LaneState::kInUse && lane != mine) lane->state = LaneState::kOrphaned;
    }
  }
  mutex_.unlock();
}

ConcurrentArena::Lane* ConcurrentArena::TryThisLane() noexcept {
  if (LaneRecord* const found = FindLane()) return &found->arena;
  LaneRecord* const lane = TakeLane();
  if (lane == nullptr) return nullptr;
  if (!per_thread_.Set(lane)) {
    TakeBack(lane);
    return nullptr;
  }
  Settle(lane);
  return &lane->arena;
}

ConcurrentArena::Lane& ConcurrentArena::ThisLane() {
  Lane* const lane = TryThisLane();
  if (lane == nullptr) ThrowRefusal(lane_options_.first_block_bytes, kDefaultAlignment);
  return *lane;
}

// --- Beginning and end
// ------------------------------------------------------------------------------

ConcurrentArena::ConcurrentArena(const ConcurrentArenaOptions& options) noexcept
    : MemoryResource(Deallocation::kNoop, kMaxAlignment),
      retention_(options.retention),
      lane_options_(LaneOptions(options)),
      source_(options.upstream != nullptr ? *options.upstream : MallocResource::Default(),
              options.name),
      lanes_(source_,
             AlignUp(source_.block_bytes() != 0 ? source_.block_bytes() : options.first_block_bytes,
                     kDefaultAlignment)),
      per_thread_(*this) {
  if (const auto valid = options.Validate(); !valid) {
    AbortOnMisuse("concurrent arena: %s", valid.error().message.c_str());
  }
  lane_options_.upstream = &source_;
}

ConcurrentArena::~ConcurrentArena() {
  {
    const std::lock_guard lock(mutex_);
    source_.Close("the destructor");
  }
  RunCleanups();
}

// --- Allocation
// -------------------------------------------------------------------------------------

[[gnu::noinline, gnu::cold]] ConcurrentArena::Leased ConcurrentArena::AcquireSlow(
    size_t bytes, size_t alignment) noexcept {
  if (LaneRecord* const found = FindLane()) {
    return {.lane = found, .memory = found->arena.TryAllocate(bytes, alignment)};
  }
  if (!CouldServe(bytes, alignment)) return {};
  LaneRecord* const lane = TakeLane();
  if (lane == nullptr) return {};
  void* const memory = lane->arena.TryAllocate(bytes, alignment);
  if (memory == nullptr) {
    TakeBack(lane);
    return {};
  }
  Settle(lane);
  return {.lane = lane, .memory = memory, .borrowed = !per_thread_.Set(lane)};
}

[[gnu::noinline, gnu::cold]] void* ConcurrentArena::AllocateSlow(size_t bytes,
                                                                 size_t alignment) noexcept {
  const Lease lease(*this, bytes, alignment);
  return lease.memory();
}

bool ConcurrentArena::CouldServe(size_t bytes, size_t alignment) const noexcept {
  return IsPowerOfTwo(alignment) && alignment <= kMaxAlignment &&
         bytes <= size_t{PTRDIFF_MAX} - kMaxAlignment;
}

void ConcurrentArena::ThrowRefusal(size_t bytes, size_t alignment) const {
  if (!CouldServe(bytes, alignment)) throw std::bad_alloc();
  source_.ThrowRefusal(bytes, alignment);
}

bool ConcurrentArena::TryResize(void* p, size_t old_bytes, size_t new_bytes,
                                size_t alignment) noexcept {
  LaneRecord* const lane = FindLane();
  return lane != nullptr && lane->arena.TryResize(p, old_bytes, new_bytes, alignment);
}

char* ConcurrentArena::TryCopy(std::string_view text) noexcept {
  auto* const copy = static_cast<char*>(TryAllocateBytes(text.size()));
  if (copy != nullptr && !text.empty()) std::memcpy(copy, text.data(), text.size());
  return copy;
}

std::string_view ConcurrentArena::Copy(std::string_view text) {
  const char* const copy = TryCopy(text);
  if (copy == nullptr) ThrowRefusal(text.size(), 1);
  return {copy, text.size()};
}

bool ConcurrentArena::TryDefer(void (*run)(void*), void* object) noexcept {
  const Lease lease(*this, sizeof(Arena::Cleanup), alignof(Arena::Cleanup));
  if (lease.memory() == nullptr) return false;
  lease.lane()->Register(::new (lease.memory()) Arena::Cleanup, run, object);
  return true;
}

void ConcurrentArena::Defer(void (*run)(void*), void* object) {
  if (!TryDefer(run, object)) ThrowRefusal(sizeof(Arena::Cleanup), alignof(Arena::Cleanup));
}

// --- Taking back
// ------------------------------------------------------------------------------------

void ConcurrentArena::Reset(Retention retention) noexcept {
  {
    // Threads that end from here on leave their lanes as they are.
    const std::lock_guard lock(mutex_);
    source_.Close("a reset");
  }
  RunCleanups();
  ResetLanes(retention);
  const std::lock_guard lock(mutex_);
  for (LaneRecord* lane = lanes_.newest(); lane != nullptr; lane = lane->older) {
    if (lane->state == LaneState::kOrphaned) FreeLocked(lane);
  }
  source_.Open();
}

void ConcurrentArena::RunCleanups() noexcept {
  // A cleanup may make objects in any lane, and even a lane.
  bool found = true;
  while (found) {
    found = false;
    for (LaneRecord* lane = lanes_.newest(); lane != nullptr; lane = lane->older) {
      lane->arena.DisownThread();
      found = found || lane->arena.place_.newest_cleanup != nullptr;
      lane->arena.RunCleanupsUntil(nullptr);
    }
  }
}

void ConcurrentArena::ResetLanes(Retention retention) noexcept {
  const auto blocks_bytes = [](const LaneRecord& lane) {
    return lane.arena.HeldBytes() - lane.arena.given_block_->bytes;
  };
  size_t total = 0;
  for (LaneRecord* lane = lanes_.newest(); lane != nullptr; lane = lane->older) {
    total += blocks_bytes(*lane);
  }
  const bool is_surplus =
      retention.kind() == Retention::Kind::kKeepBytes && total > retention.limit_bytes();
  // Each lane keeps its share, which lets the next use of the same kind find what it needs where it
  // needs it, as far as it goes.
  const Retention for_lane =
      retention.kind() == Retention::Kind::kKeepBytes ? Retention::KeepAll() : retention;
  const double kept_share =
      is_surplus ? static_cast<double>(retention.limit_bytes()) / static_cast<double>(total) : 1;

  for (LaneRecord* lane = lanes_.newest(); lane != nullptr; lane = lane->older) {
    Arena& arena = lane->arena;
    arena.DisownThread();
    if (is_surplus) {
      arena.Reset(Retention::KeepBytes(
          static_cast<size_t>(static_cast<double>(blocks_bytes(*lane)) * kept_share)));
    } else if (for_lane.kind() == arena.retention().kind()) {
      arena.Reset();
    } else {
      arena.Reset(for_lane);
    }
    arena.Publish();
  }
}

size_t ConcurrentArena::Trim() noexcept {
  size_t trimmed = 0;
  if (LaneRecord* const mine = FindLane()) trimmed += mine->arena.Trim();
  // One at a time, from the front to the back, each out of reach meanwhile: upstream is called
  // under no lock.
  size_t left;
  {
    const std::lock_guard lock(mutex_);
    left = free_lanes_.size();
  }
  for (; left > 0; --left) {
    LaneRecord* lane;
    {
      const std::lock_guard lock(mutex_);
      if (free_lanes_.empty()) break;
      lane = &free_lanes_.front();
      free_lanes_.pop_front();
      lane->state = LaneState::kInUse;
      lane->arena.DisownThread();
    }
    trimmed += lane->arena.Trim();
    const std::lock_guard lock(mutex_);
    lane->state = LaneState::kFree;
    free_lanes_.push_back(*lane);
  }
  return trimmed;
}

// --- Questions
// --------------------------------------------------------------------------------------

MemoryStats ConcurrentArena::Stats() const noexcept {
  const LaneRecord* const mine = FindLane();
  MemoryStats sum;
  for (const LaneRecord* lane = lanes_.newest(); lane != nullptr; lane = lane->older) {
    sum.used_bytes += lane->overhead_bytes;
    if (lane == mine) {
      const MemoryStats stats = lane->arena.Stats();
      sum.asked_bytes += stats.asked_bytes;
      sum.used_bytes += stats.used_bytes;
    } else {
      sum.asked_bytes += lane->progress.asked_bytes();
      sum.used_bytes += lane->progress.used_bytes();
    }
  }
  sum.held_bytes = source_.held_bytes();
  // The figures of threads that allocate are of different moments.
  sum.used_bytes = std::min(sum.used_bytes, sum.held_bytes);
  sum.asked_bytes = std::min(sum.asked_bytes, sum.used_bytes);
  return sum;
}

ArenaStats ConcurrentArena::DetailedStats() const noexcept {
  ArenaStats sum;
  for (const LaneRecord* lane = lanes_.newest(); lane != nullptr; lane = lane->older) {
    const ArenaStats stats = lane->arena.DetailedStats();
    sum.asked_bytes += stats.asked_bytes;
    sum.used_bytes += stats.used_bytes + lane->overhead_bytes;
    sum.lost_to_tails_bytes += stats.lost_to_tails_bytes;
    sum.block_count += stats.block_count;
    sum.large_count += stats.large_count;
    sum.large_bytes += stats.large_bytes;
    sum.retained_bytes += stats.retained_bytes;
  }
  sum.held_bytes = source_.held_bytes();
  return sum;
}

size_t ConcurrentArena::lane_count() const noexcept {
  size_t count = 0;
  for (const LaneRecord* lane = lanes_.newest(); lane != nullptr; lane = lane->older) ++count;
  return count;
}

}  // namespace granary
