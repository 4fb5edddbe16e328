#include "arena/arena.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "arena/arena_progress.h"
#include "memory/malloc_resource.h"
#include "memory/misuse.h"

namespace granary {

namespace {

// A first block smaller than this would be left at once.
constexpr size_t kSmallestGivenBytes = 64;

std::byte* Payload(BlockLink* block) noexcept {
  return reinterpret_cast<std::byte*>(block) + Arena::kBlockHeaderBytes;
}

size_t PayloadBytes(const BlockLink* block) noexcept {
  return block->bytes - Arena::kBlockHeaderBytes;
}

// Of sizes that differ a little, one block serves all.
size_t LargeBytes(size_t bytes, size_t alignment) noexcept {
  return alignment == 1 ? bytes : AlignUp(bytes, alignof(BlockLink));
}

}  // namespace

// --- Beginning and end
// ----------------------------------------------------------------------------

Arena::Arena(const ArenaOptions& options) noexcept
    : MemoryResource(Deallocation::kNoop, kMaxAlignment),
      checked_(options.checks == Checks::kOn ||
               (options.checks == Checks::kByBuild && kCheckedBuild)),
      reset_is_slow_(checked_),
      upstream_(options.upstream != nullptr ? options.upstream : &MallocResource::Default()),
      first_block_bytes_(AlignUp(options.first_block_bytes, kDefaultAlignment)),
      max_block_bytes_(AlignUp(options.max_block_bytes, kDefaultAlignment)),
      growth_divisor_(options.growth_divisor),
      retention_(options.retention),
      name_(options.name),
      checker_(options.name) {
  if (!options.IsValid()) [[unlikely]]
    AbortOnMisuse("arena: %s", options.Validate().error().message.c_str());
  if (const size_t block_bytes = upstream_->block_bytes(); block_bytes != 0) {
    first_block_bytes_ = max_block_bytes_ = block_bytes - kBlockHeaderBytes;
  }
}

Arena::Arena(std::span<std::byte> first_block, const ArenaOptions& options) noexcept
    : Arena(options) {
  void* p = first_block.data();
  size_t bytes = first_block.size();
  if (std::align(kDefaultAlignment, kSmallestGivenBytes, p, bytes) == nullptr) return;
  given_block_ = ::new (p) BlockLink{.next = nullptr, .bytes = bytes & ~(kDefaultAlignment - 1)};
  if (checked_) ArenaChecker::Fresh(Payload(given_block_), PayloadBytes(given_block_));
  FirstBlockChanged();
  StandAtFirstBlock();
}

Arena::~Arena() {
  if (blocks_.empty() && large_.held_bytes() == 0 && !reset_is_slow_) return;
  // Whoever destroys the arena owns it.
  checker_.Disown();
  ResetSlow(Retention::Release());
  if (checked_ && given_block_ != nullptr) {
    ArenaChecker::Stale(Payload(given_block_), PayloadBytes(given_block_));
  }
}

// --- Allocation
// -----------------------------------------------------------------------------------

[[gnu::noinline]] void* Arena::AllocateSlow(size_t bytes, size_t alignment) noexcept {
  // The easy case, and the most frequent: the block is full, and a retained one stands behind it.
  // The bound holds every request that is not large, after rounding too, and none of size zero.
  const BlockLink* const next = NextBlock();
  if (next != nullptr && !checked_ && (alignment == 16 || alignment == 8 || alignment == 1) &&
      bytes - 1 < PayloadBytes(next) / 8 - kDefaultAlignment) {
    EnterNextBlock(bytes);
    return cursor().Take(bytes, alignment, [] { return nullptr; });
  }
  if (bytes == 0) bytes = 1;
  if (!IsPowerOfTwo(alignment) || alignment > kMaxAlignment) return nullptr;
  return checked_ ? AllocateChecked(bytes, alignment) : AllocateUnchecked(bytes, alignment);
}

void* Arena::AllocateChecked(size_t bytes, size_t alignment) noexcept {
  checker_.CheckOwner("an allocation");
  const size_t slot_bytes = ArenaChecker::SlotBytes(bytes, alignment);
  void* const slot = AllocateUnchecked(slot_bytes, ArenaChecker::SlotAlignment(alignment));
  if (slot == nullptr) return nullptr;
  void* const object = checker_.Lay(slot, bytes, alignment);
  place_.newest_checked = checker_.newest();
  return object;
}

void* Arena::AllocateUnchecked(size_t bytes, size_t alignment) noexcept {
  if (bytes > size_t{PTRDIFF_MAX} - kMaxAlignment) return nullptr;
  if (void* const p = TryCursor(bytes, alignment)) return p;

  // A payload is aligned to kDefaultAlignment: what a larger alignment may skip has to fit as well.
  const size_t needed = bytes + (alignment > kDefaultAlignment ? alignment - kDefaultAlignment : 0);
  if (!IsLarge(needed)) {
    if (!EnterNextBlock(AlignUp(needed, std::min(alignment, kDefaultAlignment)))) return nullptr;
    return TryCursor(bytes, alignment);
  }
  void* const p = large_.TryAllocate(*upstream_, LargeBytes(bytes, alignment), alignment,
                                     checked_ ? &ArenaChecker::Fresh : nullptr, StaleHook());
  if (p == nullptr) return nullptr;
  place_.large = large_.position();
  reset_is_slow_ = true;
  if (progress_ != nullptr) Publish();
  return p;
}

// Whether a request that the current block has no room for stands aside.
bool Arena::IsLarge(size_t bytes) const noexcept {
  const size_t next = NextPayloadBytes();
  if (bytes > next) return true;
  size_t most_in_blocks = next / 8;
  if (growth_divisor_ > 1) most_in_blocks = std::max(most_in_blocks, first_block_bytes_ / 2);
  if (bytes <= most_in_blocks) return false;
  const bool used_up = place_.block == nullptr || Headroom() <= PayloadBytes(place_.block) / 32;
  return !used_up;
}

// The current block, with the alignments that the inlined paths leave out.
void* Arena::TryCursor(size_t bytes, size_t alignment) noexcept {
  constexpr auto kRefused = [] { return nullptr; };
  return alignment == 1 ? RealCursor().TakeBytes(bytes, kRefused)
                        : RealCursor().TakeAligned(bytes, alignment, kRefused);
}

size_t Arena::NextPayloadBytes() const noexcept {
  if (const BlockLink* const next = NextBlock()) return PayloadBytes(next);
  // Growing with what is held keeps the number of blocks logarithmic; large objects count, so that
  // an arena of many medium objects grows blocks that hold them.
  const size_t grown = growth_divisor_ == 1
                           ? std::bit_floor(HeldBytes() | 1)
                           : HeldBytes() / growth_divisor_ & ~(kDefaultAlignment - 1);
  return std::clamp(grown, first_block_bytes_, max_block_bytes_);
}

bool Arena::EnterNextBlock(size_t payload_bytes) noexcept {
  BlockLink* next = NextBlock();
  if (next == nullptr) {
    next = AcquireBlock(payload_bytes);
    if (next == nullptr) return false;
  }
  Cursor& free = RealCursor();
  if (place_.block != nullptr) {
    ++place_.passed_count;
    place_.passed_bytes += PayloadBytes(place_.block);
    place_.tail_bytes += free.room();
  }
  place_.block = next;
  free = WholeOf(next);
  if (progress_ != nullptr) Publish();
  return true;
}

size_t Arena::AskedBytes() const noexcept {
  return place_.passed_bytes - place_.tail_bytes + CursorUsedBytes() + place_.absorbed_asked_bytes +
         large_.live_bytes() - large_.live_count() * LargeObjects::kHeaderBytes;
}

size_t Arena::UsedBytes() const noexcept {
  const size_t headers =
      place_.block == nullptr ? 0 : (place_.passed_count + 1) * kBlockHeaderBytes;
  return place_.passed_bytes + CursorUsedBytes() + headers + absorbed_.bytes() +
         large_.live_bytes();
}

void Arena::Publish() const noexcept { progress_->Set(AskedBytes(), UsedBytes()); }

BlockLink* Arena::AcquireBlock(size_t payload_bytes) noexcept {
  const size_t smallest = AlignUp(
      std::min(std::max(payload_bytes, first_block_bytes_), max_block_bytes_), kDefaultAlignment);
  size_t payload = std::max(NextPayloadBytes(), smallest);
  if (growth_divisor_ > 1) {
    const size_t whole_requests =
        AlignUp(payload + (payload_bytes - 1 - (payload - 1) % payload_bytes), kDefaultAlignment);
    if (whole_requests <= max_block_bytes_) payload = whole_requests;
  }
  void* memory = upstream_->TryAllocate(kBlockHeaderBytes + payload, kChainAlignment);
  // Near a limit half a block is better than a refusal.
  while (memory == nullptr && payload > smallest) {
    payload = std::max(AlignUp(payload / 2, kDefaultAlignment), smallest);
    memory = upstream_->TryAllocate(kBlockHeaderBytes + payload, kChainAlignment);
  }
  if (memory == nullptr) return nullptr;

  auto* const block =
      ::new (memory) BlockLink{.next = nullptr, .bytes = kBlockHeaderBytes + payload};
  if (checked_) ArenaChecker::Fresh(Payload(block), PayloadBytes(block));
  AppendBlocks({block, block, 1, block->bytes});
  if (retention_.kind() != Retention::Kind::kKeepAll) reset_is_slow_ = true;
  return block;
}

bool Arena::TryResize(void* p, size_t old_bytes, size_t new_bytes, size_t alignment) noexcept {
  if (old_bytes == 0) old_bytes = 1;
  if (new_bytes == 0) new_bytes = 1;
  if (new_bytes > size_t{PTRDIFF_MAX} - kMaxAlignment) return false;
  return checked_ ? ResizeChecked(p, old_bytes, new_bytes, alignment)
                  : ResizeUnchecked(p, old_bytes, new_bytes, alignment);
}

bool Arena::ResizeUnchecked(void* p, size_t old_bytes, size_t new_bytes,
                            size_t alignment) noexcept {
  // A byte string has the block's used end behind it, never free room.
  if (alignment == 1) return new_bytes == old_bytes;
  if (old_bytes == new_bytes || ResizeAtCursor(p, old_bytes, new_bytes)) return true;
  if (!large_.TryResizeNewest(*upstream_, p, LargeBytes(new_bytes, alignment))) return false;
  place_.large = large_.position();
  return true;
}

bool Arena::ResizeAtCursor(void* p, size_t old_bytes, size_t new_bytes) noexcept {
  Cursor& free = RealCursor();
  const auto begin = reinterpret_cast<uintptr_t>(p);
  if (place_.block == nullptr || begin + old_bytes != free.last + 1) return false;
  if (new_bytes > free.high - begin) return false;
  free.last = begin + new_bytes - 1;
  return true;
}

bool Arena::ResizeChecked(void* p, size_t old_bytes, size_t new_bytes, size_t alignment) noexcept {
  checker_.CheckOwner("a resize");
  if (alignment == 1) return new_bytes == old_bytes;
  if (!checker_.IsNewest(p, old_bytes)) return false;
  if (!ResizeAtCursor(checker_.NewestSlot(), ArenaChecker::SlotBytes(old_bytes, alignment),
                      ArenaChecker::SlotBytes(new_bytes, alignment))) {
    return false;
  }
  checker_.Relay(new_bytes);
  return true;
}

// --- Objects
// --------------------------------------------------------------------------------------

char* Arena::TryCopy(std::string_view text) noexcept {
  auto* const copy = static_cast<char*>(TryAllocateBytes(text.size()));
  if (copy != nullptr && !text.empty()) std::memcpy(copy, text.data(), text.size());
  return copy;
}

std::string_view Arena::Copy(std::string_view text) {
  const char* const copy = TryCopy(text);
  if (copy == nullptr) ThrowRefusal(text.size(), 1);
  return {copy, text.size()};
}

bool Arena::TryDefer(void (*run)(void*), void* object) noexcept {
  void* const memory = TryAllocate(sizeof(Cleanup), alignof(Cleanup));
  if (memory == nullptr) return false;
  Register(::new (memory) Cleanup, run, object);
  return true;
}

void Arena::Defer(void (*run)(void*), void* object) {
  if (!TryDefer(run, object)) ThrowRefusal(sizeof(Cleanup), alignof(Cleanup));
}

void Arena::RunCleanupsUntil(const Cleanup* oldest_to_keep) noexcept {
  // A cleanup may allocate here, and even register another one: it is then the newest, and runs
  // next.
  while (place_.newest_cleanup != oldest_to_keep) {
    Cleanup* const cleanup = place_.newest_cleanup;
    place_.newest_cleanup = cleanup->next;
    cleanup->run(cleanup->object);
  }
}

// --- Taking back
// ----------------------------------------------------------------------------------

void Arena::Reset(Retention retention) noexcept { ResetSlow(retention); }

void Arena::ResetSlow(Retention retention) noexcept {
  if (checked_) checker_.CheckOwner("Reset");
  RunCleanupsUntil(nullptr);
  if (checked_) {
    checker_.Unlay(nullptr, "Reset");
    checker_.ForgetMarks();
    checker_.Disown();
  }
  size_t target = retention.limit_bytes();
  if (retention.kind() == Retention::Kind::kAdaptive) {
    demand_.Add(BlocksInUseBytes() + absorbed_.bytes() + large_.live_bytes());
    target = demand_.target_bytes();
  }
  large_.RewindTo({});
  AppendBlocks(absorbed_.TakeAll());
  KeepAtMost(target);
  StandAtFirstBlock();
  // An adaptive arena that holds more than its first block watches every use, until it holds no
  // more. What another retention has kept beyond the arena's own goes at the next reset.
  reset_is_slow_ = checked_ || blocks_.bytes() + large_.held_bytes() > retention_.limit_bytes() ||
                   (retention_.kind() == Retention::Kind::kAdaptive &&
                    HeldBytes() != (first_block_ == nullptr ? 0 : first_block_->bytes));
}

void Arena::StandAtFirstBlock() noexcept {
  place_ = Place{};
  place_.block = first_block_;
  RealCursor() = WholeOf(first_block_);
}

// Called whenever the first of the blocks from upstream may be another one.
void Arena::FirstBlockChanged() noexcept {
  if (given_block_ != nullptr) given_block_->next = blocks_.first();
  first_block_ = given_block_ != nullptr ? given_block_ : blocks_.first();
  // Under checks the inlined Reset is never taken, and the inlined allocation must find nothing.
  first_cursor_ = checked_ ? Cursor{} : WholeOf(first_block_);
}

Arena::Cursor Arena::WholeOf(BlockLink* block) noexcept {
  if (block == nullptr) return {};
  return Cursor::Over(Payload(block), PayloadBytes(block));
}

void Arena::AppendBlocks(const BlockChain& chain) noexcept {
  if (chain.count == 0) return;
  blocks_.Append(chain);
  FirstBlockChanged();
}

void Arena::CutBlocksBehind(const BlockList::Position& position) noexcept {
  const BlockChain chain = blocks_.CutBehind(position);
  FirstBlockChanged();
  GiveBack(chain);
}

void Arena::KeepAtMost(size_t bytes) noexcept {
  if (blocks_.bytes() + large_.held_bytes() <= bytes) return;
  BlockList::Position kept;
  // What cannot be kept is not looked at: after a long use the first block is out of every cache.
  for (BlockLink* block = blocks_.first();
       kept.bytes < bytes && kept.count < blocks_.count() && block->bytes <= bytes - kept.bytes;
       block = block->next) {
    kept = {block, kept.count + 1, kept.bytes + block->bytes};
  }
  CutBlocksBehind(kept);
  large_.TrimIdle(*upstream_, bytes - kept.bytes, StaleHook());
}

void Arena::GiveBack(const BlockChain& chain) noexcept {
  if (chain.count == 0) return;
  if (checked_) {
    BlockLink* block = chain.first;
    for (size_t i = 0; i < chain.count; ++i, block = block->next) {
      ArenaChecker::Stale(Payload(block), PayloadBytes(block));
    }
  }
  upstream_->ReleaseChain(chain);
}

size_t Arena::Trim() noexcept {
  if (checked_) checker_.CheckOwner("Trim");
  const size_t before = HeldBytes();
  // Blocks behind the current one serve nothing.
  BlockList::Position in_use;
  if (place_.block != nullptr && place_.block != given_block_) {
    const size_t given = given_block_ != nullptr ? 1 : 0;
    in_use = {place_.block, place_.passed_count + 1 - given,
              BlocksInUseBytes() - (given != 0 ? given_block_->bytes : 0)};
  }
  CutBlocksBehind(in_use);
  large_.TrimIdle(*upstream_, 0, StaleHook());
  return before - HeldBytes();
}

ArenaMark Arena::Mark() noexcept {
  ArenaMark mark;
  mark.arena_ = this;
  mark.cursor_ = RealCursor();
  mark.place_ = place_;
  if (checked_) {
    checker_.CheckOwner("Mark");
    mark.serial_ = checker_.PushMark();
  }
  return mark;
}

void Arena::RewindSlow(const ArenaMark& mark, bool drop) noexcept {
  if (checked_ && mark.arena_ == this) {
    checker_.CheckOwner("Rewind");
    checker_.RewindToMark(mark.serial_, drop);
  }
  if (IsAhead(mark)) {
    AbortOnMisuse(
        "arena '%s': a rewind to a mark that is dead (of another arena, or a reset or a rewind to "
        "an "
        "older mark came before)",
        name_);
  }
  RunCleanupsUntil(mark.place_.newest_cleanup);
  if (checked_) checker_.Unlay(mark.place_.newest_checked, "Rewind");
  large_.RewindTo(mark.place_.large);
  AppendBlocks(absorbed_.CutBehind(mark.place_.absorbed));
  place_ = mark.place_;
  RealCursor() = mark.cursor_;
  if (place_.block == nullptr && first_block_ != nullptr) {
    // The mark is older than the first block.
    place_.block = first_block_;
    RealCursor() = WholeOf(first_block_);
  }
}

bool Arena::Absorb(Arena&& other) noexcept {
  if (&other == this || other.checked_ != checked_) return false;
  if (other.upstream_ != upstream_ && !upstream_->is_equal(*other.upstream_)) return false;
  const size_t other_used = other.CursorUsedBytes();
  const bool in_given_block =
      other.given_block_ != nullptr && (other.place_.passed_count > 0 || other_used > 0);
  if (in_given_block) return false;
  if (checked_) {
    checker_.CheckOwner("Absorb");
    other.checker_.CheckOwner("Absorb");
    checker_.Absorb(other.checker_);
    other.checker_.ForgetMarks();
  }

  large_.Absorb(other.large_);
  absorbed_.Append(other.absorbed_.TakeAll());
  place_.absorbed_asked_bytes += other.place_.absorbed_asked_bytes;
  if (other.place_.block != nullptr && other.place_.block != other.given_block_) {
    const BlockChain spare = other.blocks_.CutBehind(
        {other.place_.block, other.place_.passed_count + 1, other.BlocksInUseBytes()});
    absorbed_.Append(other.blocks_.TakeAll());
    other.blocks_.Append(spare);
    place_.absorbed_asked_bytes += other.place_.passed_bytes - other.place_.tail_bytes + other_used;
  }
  if (other.place_.newest_cleanup != nullptr) {
    other.oldest_cleanup_->next = place_.newest_cleanup;
    if (place_.newest_cleanup == nullptr) oldest_cleanup_ = other.oldest_cleanup_;
    place_.newest_cleanup = other.place_.newest_cleanup;
  }
  place_.absorbed = absorbed_.end();
  place_.large = large_.position();
  place_.newest_checked = checker_.newest();
  reset_is_slow_ = true;
  other.FirstBlockChanged();
  other.StandAtFirstBlock();
  return true;
}

// --- Questions
// ------------------------------------------------------------------------------------

bool Arena::Contains(const void* p) const noexcept {
  const auto address = reinterpret_cast<uintptr_t>(p);
  const auto is_in = [address](BlockLink* block) {
    return address - reinterpret_cast<uintptr_t>(Payload(block)) < PayloadBytes(block);
  };
  BlockLink* block = first_block_;
  for (size_t i = 0; place_.block != nullptr && i <= place_.passed_count;
       ++i, block = block->next) {
    if (is_in(block)) return true;
  }
  block = absorbed_.first();
  for (size_t i = 0; i < absorbed_.count(); ++i, block = block->next) {
    if (is_in(block)) return true;
  }
  return large_.Contains(p);
}

size_t Arena::CursorUsedBytes() const noexcept {
  return place_.block == nullptr ? 0 : PayloadBytes(place_.block) - Headroom();
}

// The current block and those before it, whole.
size_t Arena::BlocksInUseBytes() const noexcept {
  if (place_.block == nullptr) return 0;
  return place_.passed_bytes + place_.passed_count * kBlockHeaderBytes + place_.block->bytes;
}

size_t Arena::HeldBytes() const noexcept {
  return (given_block_ != nullptr ? given_block_->bytes : 0) + blocks_.bytes() + absorbed_.bytes() +
         large_.held_bytes();
}

ArenaStats Arena::DetailedStats() const noexcept {
  ArenaStats stats;
  const size_t absorbed_payload = absorbed_.bytes() - absorbed_.count() * kBlockHeaderBytes;
  stats.asked_bytes = AskedBytes();
  stats.used_bytes = UsedBytes();
  stats.held_bytes = HeldBytes();
  stats.lost_to_tails_bytes = place_.tail_bytes + absorbed_payload - place_.absorbed_asked_bytes;
  stats.block_count = blocks_.count() + absorbed_.count() + (given_block_ != nullptr ? 1 : 0);
  stats.large_count = large_.live_count();
  stats.large_bytes = large_.live_bytes();
  stats.retained_bytes =
      stats.held_bytes - BlocksInUseBytes() - absorbed_.bytes() - large_.live_bytes();
  return stats;
}

MemoryStats Arena::Stats() const noexcept {
  return {.asked_bytes = AskedBytes(), .used_bytes = UsedBytes(), .held_bytes = HeldBytes()};
}

void Arena::ThrowRefusal(size_t bytes, size_t alignment) const {
  if (!IsPowerOfTwo(alignment) || alignment > kMaxAlignment ||
      bytes > size_t{PTRDIFF_MAX} - kMaxAlignment) {
    throw std::bad_alloc();
  }
  upstream_->ThrowRefusal(bytes, alignment);
  __builtin_unreachable();
}

}  // namespace granary
