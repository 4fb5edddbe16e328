#include "pool/buffer/frame_supply.h"

#include <algorithm>
#include <array>
#include <new>
#include <string>
#include <thread>
#include <utility>

namespace granary::buffer {

namespace {

constexpr auto kPause = std::chrono::microseconds(100);

}  // namespace

ScanRing::ScanRing(FrameSupply& from, size_t most) : supply(from), frames_max(most) {
  const std::scoped_lock lock(supply.rings_mutex_);
  supply.rings_.push_back(*this);
}

ScanRing::~ScanRing() {
  const std::scoped_lock lock(supply.rings_mutex_);
  supply.rings_.erase(supply.rings_.iterator_to(*this));
  supply.Dissolve(*this);
}

FrameSupply::FrameSupply(PoolParts& parts, PagePool& pages, std::unique_ptr<Eviction> eviction,
                         WriteBack& write_back, size_t capacity) noexcept
    : parts_(parts),
      pages_(pages),
      eviction_(std::move(eviction)),
      hits_(eviction_->hits()),
      hits_max_(eviction_->hits_max()),
      write_back_(write_back),
      capacity_(capacity) {
  eviction_->SetCapacity(capacity);
  SetLaneFrames(capacity);
}

FrameSupply::~FrameSupply() {
  for (FrameLane& lane : lanes_) Empty(lane);
  while (GiveToPagePool()) {
  }
}

// --- Frames -------------------------------------------------------------------------------------

std::optional<FrameIndex> FrameSupply::TryObtain() noexcept {
  if (FrameLane* const lane = LaneOfThread()) {
    const std::scoped_lock lock(lane->mutex);
    if (const uint32_t count = lane->free_count.load(std::memory_order_relaxed); count != 0) {
      lane->free_count.store(count - 1, std::memory_order_relaxed);
      return lane->free[count - 1];
    }
  }
  PageIndex frame;
  if (free_.Pop(Links{parts_.frames}, 1, &frame) == 1) {
    free_count_.fetch_sub(1, std::memory_order_relaxed);
    return frame;
  }
  return Grow(false);
}

std::optional<FrameIndex> FrameSupply::Grow(bool asks) noexcept {
  size_t used = used_.load(std::memory_order_relaxed);
  if (used >= capacity_.load(std::memory_order_relaxed)) return std::nullopt;
  if (!asks && is_refused_.load(std::memory_order_relaxed)) {
    const uint32_t wants = refused_wants_.load(std::memory_order_relaxed);
    refused_wants_.store(wants + 1, std::memory_order_relaxed);
    if (wants % kRefusedWants != kRefusedWants - 1) return std::nullopt;
  }
  while (!used_.compare_exchange_weak(used, used + 1, std::memory_order_relaxed)) {
    if (used >= capacity_.load(std::memory_order_relaxed)) return std::nullopt;
  }
  std::byte* const page = asks ? pages_.Allocate() : pages_.TryAllocate();
  const bool is_refused = page == nullptr;
  if (is_refused_.load(std::memory_order_relaxed) != is_refused) {
    is_refused_.store(is_refused, std::memory_order_relaxed);
  }
  if (is_refused) {
    used_.fetch_sub(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return parts_.frames.IndexOf(page);
}

Expected<FrameIndex> FrameSupply::Obtain(Patience& patience) {
  CallEvictor();
  if (const auto free = TryObtain()) return *free;
  // What is in rings and lanes is known to all, or was when the last look at all began.
  bool has_all = false;
  for (bool writes = !call_evictor_;;) {
    foreground_batches_.fetch_add(1, std::memory_order_relaxed);
    const bool is_behind = IsEvictorBehind();
    if (!writes && is_behind) {
      // To write one page takes less time than to wait until the evictor has written a batch.
      const Evicted evicted = EvictForThread(1, Writes::kInLog);
      if (const auto free = TryObtain()) return *free;
      if (evicted.frames != 0) continue;
      if (const auto free = AwaitEvictor()) return *free;
    }
    const Evicted evicted =
        EvictForThread(BatchFrames(capacity()), writes || is_behind ? Writes::kAll : Writes::kNone);
    if (const auto free = TryObtain()) return *free;
    if (!patience.IsInVain(evicted.picked(), evicted.frames, 2 * used())) continue;
    writes = true;
    if (!std::exchange(has_all, true)) {
      ReturnAll();
      patience.LookAgain();
      continue;
    }
    has_all = false;
    // All that it has is in use: now others are asked.
    if (const auto grown = Grow(true)) return *grown;
    if (evicted.error) return tl::unexpected(*evicted.error);
    if (patience.IsOver()) return tl::unexpected(AllPinned());
    patience.LookAgain();
    std::this_thread::sleep_for(kPause);
  }
}

Expected<FrameIndex> FrameSupply::ObtainFor(ScanRing& ring, Patience& patience) {
  if (!IsFull()) return Obtain(patience);
  while (true) {
    FrameIndex oldest;
    {
      const std::scoped_lock lock(ring.mutex);
      if (HasRoom(ring) || ring.frames.empty()) break;
      oldest = ring.frames.front();
      ring.frames.pop_front();
      ring_frames_.fetch_sub(1, std::memory_order_relaxed);
    }
    Frame& its = parts_.frames[oldest];
    // Others want it, or it is no page of the ring any more.
    const bool is_wanted = hits_ != nullptr && hits_[oldest].load(std::memory_order_relaxed) != 0;
    if (!is_wanted && TryEvict(oldest) == Fate::kEvicted) {
      ring_reuses_.fetch_add(1, std::memory_order_relaxed);
      evictions_.fetch_add(1, std::memory_order_relaxed);
      its.use.store(Frame::Use::kFree, std::memory_order_relaxed);
      return oldest;
    }
    const std::scoped_lock lock(policy_mutex_);
    if (its.use.load(std::memory_order_relaxed) == Frame::Use::kGone) {
      its.use.store(Frame::Use::kFree, std::memory_order_relaxed);
      return oldest;
    }
    its.use.store(Frame::Use::kPolicy, std::memory_order_relaxed);
    eviction_->OnInsert(oldest, its.key.load(std::memory_order_relaxed), Access::kScan);
  }
  return Obtain(patience);
}

void FrameSupply::Return(FrameIndex frame) noexcept {
  if (used() > capacity()) {
    used_.fetch_sub(1, std::memory_order_relaxed);
    pages_.Deallocate(parts_.frames.At(frame));
    return;
  }
  PushFree(frame);
}

void FrameSupply::PushFree(FrameIndex frame) noexcept {
  free_count_.fetch_add(1, std::memory_order_relaxed);
  free_.Push(Links{parts_.frames}, frame, frame);
}

bool FrameSupply::GiveToPagePool() noexcept {
  PageIndex frame;
  if (free_.Pop(Links{parts_.frames}, 1, &frame) == 0) return false;
  free_count_.fetch_sub(1, std::memory_order_relaxed);
  used_.fetch_sub(1, std::memory_order_relaxed);
  pages_.Deallocate(parts_.frames.At(frame));
  return true;
}

bool FrameSupply::HasRoom(const ScanRing& ring) const noexcept {
  return ring.frames.size() < ring.frames_max &&
         ring_frames_.load(std::memory_order_relaxed) < capacity() / 8;
}

void FrameSupply::Insert(FrameIndex frame, PageKey key, Access access, ScanRing* ring) noexcept {
  Frame& its = parts_.frames[frame];
  if (ring != nullptr && IsFull()) {
    try {
      const std::scoped_lock lock(ring->mutex);
      // What is read ahead for a scan may be more than its ring has room for.
      if (HasRoom(*ring) || ring->frames.empty()) {
        if (hits_ != nullptr) hits_[frame].store(0, std::memory_order_relaxed);
        its.use.store(Frame::Use::kRing, std::memory_order_relaxed);
        ring->frames.push_back(frame);
        ring_frames_.fetch_add(1, std::memory_order_relaxed);
        return;
      }
    } catch (const std::bad_alloc&) {
      // As any other page, then.
    }
  }
  if (FrameLane* const lane = LaneOfThread()) {
    hits_[frame].store(0, std::memory_order_relaxed);
    its.use.store(Frame::Use::kFresh, std::memory_order_relaxed);
    const std::scoped_lock lock(lane->mutex);
    if (lane->fresh_count == FrameLane::kFramesMax || lane->fresh_count >= LaneFrames()) {
      const std::scoped_lock policy_lock(policy_mutex_);
      TellOfFresh(*lane);
    }
    lane->fresh[lane->fresh_count] = frame;
    lane->fresh_access[lane->fresh_count] = access;
    ++lane->fresh_count;
    return;
  }
  const std::scoped_lock lock(policy_mutex_);
  its.use.store(Frame::Use::kPolicy, std::memory_order_relaxed);
  eviction_->OnInsert(frame, key, access);
}

// One that is in somebody's hands, or in a ring, is freed by who finds it gone there.
void FrameSupply::Discarded(FrameIndex frame) noexcept {
  Frame& its = parts_.frames[frame];
  {
    const std::scoped_lock lock(policy_mutex_);
    if (its.use.load(std::memory_order_relaxed) != Frame::Use::kPolicy) {
      its.use.store(Frame::Use::kGone, std::memory_order_relaxed);
      return;
    }
    eviction_->OnErase(frame);
    its.use.store(Frame::Use::kFree, std::memory_order_relaxed);
  }
  Return(frame);
}

void FrameSupply::ReturnAll() noexcept {
  {
    const std::scoped_lock lock(rings_mutex_);
    for (ScanRing& ring : rings_) Dissolve(ring);
  }
  for (FrameLane& lane : lanes_) Empty(lane);
  const std::scoped_lock lock(policy_mutex_);
  while (aside_count_.load(std::memory_order_relaxed) != 0) Keep(TakeAside());
}

void FrameSupply::Dissolve(ScanRing& ring) noexcept {
  const std::scoped_lock lock(ring.mutex);
  for (const FrameIndex frame : ring.frames) {
    Frame& its = parts_.frames[frame];
    const std::scoped_lock policy_lock(policy_mutex_);
    if (its.use.load(std::memory_order_relaxed) == Frame::Use::kGone) {
      its.use.store(Frame::Use::kFree, std::memory_order_relaxed);
      Return(frame);
      continue;
    }
    its.use.store(Frame::Use::kPolicy, std::memory_order_relaxed);
    eviction_->OnInsert(frame, its.key.load(std::memory_order_relaxed), Access::kScan);
  }
  ring_frames_.fetch_sub(ring.frames.size(), std::memory_order_relaxed);
  ring.frames.clear();
}

void FrameSupply::TellHit(FrameIndex frame) noexcept {
  const std::scoped_lock lock(policy_mutex_);
  if (parts_.frames[frame].use.load(std::memory_order_relaxed) == Frame::Use::kPolicy) {
    eviction_->OnHit(frame);
  }
}

// --- Making room --------------------------------------------------------------------------------

FrameSupply::Fate FrameSupply::TryEvict(FrameIndex frame) noexcept {
  Frame& its = parts_.frames[frame];
  if (its.is_dirty.load(std::memory_order_relaxed)) return Fate::kDirty;
  const PageKey key = its.key.load(std::memory_order_relaxed);
  PageEntry* const entry = parts_.TryExclusive(key, frame);
  if (entry == nullptr) return Fate::kBusy;
  // Of the page that it was when it was picked; and who dirtied it since has let it go.
  if (its.is_dirty.load(std::memory_order_relaxed)) {
    parts_.Woken(*entry, entry->ReleaseExclusive(false));
    return Fate::kDirty;
  }
  parts_.Woken(*entry, entry->Evict(frame));
  parts_.translation.LetGo(PageOf(key));
  return Fate::kEvicted;
}

void FrameSupply::Settle(std::span<const FrameIndex> gone, std::span<const FrameIndex> dirty,
                         std::span<const FrameIndex> kept) noexcept {
  const std::scoped_lock lock(policy_mutex_);
  for (const FrameIndex frame : gone) {
    Frame& its = parts_.frames[frame];
    eviction_->OnEvicted(frame, its.key.load(std::memory_order_relaxed));
    its.use.store(Frame::Use::kFree, std::memory_order_relaxed);
  }
  for (const FrameIndex frame : kept) Keep(frame);
  for (const FrameIndex frame : dirty) LayAside(frame);
}

// In the order in which they came, which is about that of their LSNs.
void FrameSupply::LayAside(FrameIndex frame) noexcept {
  const size_t count = aside_count_.load(std::memory_order_relaxed);
  if (count == kAsideMax) return Keep(frame);
  aside_[(aside_first_ + count) % kAsideMax] = frame;
  aside_count_.store(count + 1, std::memory_order_relaxed);
}

FrameIndex FrameSupply::TakeAside() noexcept {
  const FrameIndex frame = aside_[aside_first_];
  aside_first_ = (aside_first_ + 1) % kAsideMax;
  aside_count_.store(aside_count_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  return frame;
}

void FrameSupply::Keep(FrameIndex frame) noexcept {
  Frame& its = parts_.frames[frame];
  eviction_->OnKept(frame);
  if (its.use.load(std::memory_order_relaxed) == Frame::Use::kGone) {
    eviction_->OnErase(frame);
    its.use.store(Frame::Use::kFree, std::memory_order_relaxed);
    Return(frame);
  } else {
    its.use.store(Frame::Use::kPolicy, std::memory_order_relaxed);
  }
}

size_t FrameSupply::Pick(FrameLane* lane, std::span<FrameIndex> out, Writes writes) noexcept {
  std::unique_lock<SpinMutex> lane_lock;
  if (lane != nullptr) lane_lock = std::unique_lock(lane->mutex);
  const std::scoped_lock lock(policy_mutex_);
  if (lane != nullptr) TellOfFresh(*lane);
  size_t count = 0;
  if (writes != Writes::kNone) {
    while (count < out.size() && aside_count_.load(std::memory_order_relaxed) != 0) {
      out[count++] = TakeAside();
    }
  }
  const auto picked = out.subspan(count);
  const auto fresh = picked.first(eviction_->PickVictims(picked));
  for (const FrameIndex frame : fresh) __builtin_prefetch(&parts_.frames[frame], 1);
  for (const FrameIndex frame : fresh) {
    parts_.frames[frame].use.store(Frame::Use::kPicked, std::memory_order_relaxed);
  }
  return count + fresh.size();
}

// Victims are what nobody has looked at for long, and so are their entries.
void FrameSupply::PrefetchEntries(std::span<const FrameIndex> frames) const noexcept {
  const FixSections::Inside inside(parts_.sections);
  for (const FrameIndex frame : frames) {
    const PageKey key = parts_.frames[frame].key.load(std::memory_order_relaxed);
    __builtin_prefetch(parts_.translation.FindEntry(PageOf(key)), 1);
  }
}

std::optional<Error> FrameSupply::WriteDirty(std::span<FrameIndex> frames, Writes writes) {
  if (writes == Writes::kInLog) {
    const auto rest = std::partition(frames.begin(), frames.end(),
                                     [&](FrameIndex frame) { return write_back_.IsInLog(frame); });
    frames = frames.first(static_cast<size_t>(rest - frames.begin()));
  }
  std::optional<Error> error;
  while (!frames.empty()) {
    const auto some = frames.first(std::min(write_back_.batch_pages(), frames.size()));
    frames = frames.subspan(some.size());
    auto written = write_back_.Write(some);
    if (!written && !error) error = std::move(written.error());
  }
  return error;
}

FrameSupply::Evicted FrameSupply::EvictFor(FrameLane* lane, size_t wanted, Writes writes) {
  std::array<FrameIndex, kBatchMax> picked;
  const size_t count = Pick(lane, std::span(picked).first(std::min(wanted, kBatchMax)), writes);
  Evicted result;
  std::array<FrameIndex, kBatchMax> gone;
  std::array<FrameIndex, kBatchMax> dirty;
  std::array<FrameIndex, kBatchMax> kept;
  const auto take = [&](FrameIndex frame, Fate fate) {
    if (fate == Fate::kEvicted) {
      gone[result.frames++] = frame;
    } else if (fate == Fate::kDirty) {
      dirty[result.dirty++] = frame;
    } else {
      kept[result.busy++] = frame;
    }
  };
  if (count > 1) PrefetchEntries(std::span(picked).first(count));
  for (size_t i = 0; i < count; ++i) take(picked[i], TryEvict(picked[i]));
  const bool meets_dirty = result.dirty != 0;
  if ((writes == Writes::kAll || meets_dirty) &&
      meets_dirty_.load(std::memory_order_relaxed) != meets_dirty) {
    meets_dirty_.store(meets_dirty, std::memory_order_relaxed);
  }
  if (writes != Writes::kNone && result.dirty != 0) {
    std::array<FrameIndex, kBatchMax> were_dirty = dirty;
    const auto all = std::span(were_dirty).first(result.dirty);
    result.error = WriteDirty(all, writes);
    result.dirty = 0;
    for (const FrameIndex frame : all) take(frame, TryEvict(frame));
  }
  const bool lays_aside = writes != Writes::kAll && call_evictor_;
  const size_t kept_dirty = lays_aside ? 0 : result.dirty;
  std::copy_n(dirty.begin(), kept_dirty, kept.begin() + static_cast<std::ptrdiff_t>(result.busy));
  Settle(std::span(gone).first(result.frames), std::span(dirty).first(result.dirty - kept_dirty),
         std::span(kept).first(result.busy + kept_dirty));
  ReturnEvicted(lane, std::span(gone).first(result.frames));
  if (lays_aside && result.dirty != 0) call_evictor_();
  evictions_.fetch_add(result.frames, std::memory_order_relaxed);
  if (parts_.translation.empty_bytes() >= kEmptyBytesMax) {
    (void)parts_.translation.GiveBackEmpty(parts_.sections);
  }
  return result;
}

FrameSupply::Ahead FrameSupply::EvictAhead(size_t high_frames) {
  const size_t aside = aside_count_.load(std::memory_order_relaxed);
  const size_t free = FreeForAll();
  const size_t wanted = std::max(aside, high_frames - std::min(free, high_frames));
  const size_t frames =
      wanted != 0 ? EvictSome(std::min(wanted, kAheadFrames), Writes::kAll).frames : 0;
  return {
      .is_done = FreeForAll() >= high_frames && aside_count_.load(std::memory_order_relaxed) == 0,
      .frames = frames};
}

void FrameSupply::ReturnEvicted(FrameLane* lane, std::span<const FrameIndex> frames) noexcept {
  if (used() > capacity()) {
    for (const FrameIndex frame : frames) Return(frame);
    return;
  }
  if (lane != nullptr) frames = PutFree(*lane, frames);
  if (frames.empty()) return;
  const Links links{parts_.frames};
  for (size_t i = 1; i < frames.size(); ++i) links.Store(frames[i - 1], frames[i]);
  free_count_.fetch_add(frames.size(), std::memory_order_relaxed);
  free_.Push(links, frames.front(), frames.back());
}

// A pool of few frames is to have as few of them empty.
size_t FrameSupply::BatchFrames(size_t capacity) noexcept {
  return std::clamp<size_t>(capacity / 256, 1, FrameLane::kFramesMax);
}

size_t FrameSupply::FreeForAll() const noexcept {
  const size_t used = used_.load(std::memory_order_relaxed);
  const size_t capacity = capacity_.load(std::memory_order_relaxed);
  const bool may_grow = used < capacity && !is_refused_.load(std::memory_order_relaxed);
  return free_count_.load(std::memory_order_relaxed) + (may_grow ? capacity - used : 0);
}

// To write would be to wait until it has written, and not to see the frames that it has freed.
std::optional<FrameIndex> FrameSupply::AwaitEvictor() noexcept {
  constexpr int kSpins = 2000;
  for (int i = 0; i < kSpins && write_back_.is_busy(); ++i) {
    for (int pauses = 0; pauses < 8; ++pauses) __builtin_ia32_pause();
    if (free_.empty()) continue;
    if (const auto free = TryObtain()) return free;
  }
  return std::nullopt;
}

bool FrameSupply::IsEvictorBehind() const noexcept {
  return aside_count_.load(std::memory_order_relaxed) >= std::min(kAsideMax, capacity() / 8);
}

bool FrameSupply::IsFull() const noexcept {
  return used() >= capacity() || is_refused_.load(std::memory_order_relaxed);
}

void FrameSupply::CallEvictor() noexcept {
  if (!meets_dirty_.load(std::memory_order_relaxed)) return;
  if (evictor_low_ != 0 && FreeForAll() <= evictor_low_) call_evictor_();
}

Expected<void> FrameSupply::Resize(size_t frames, Patience& patience) {
  const std::scoped_lock lock(resize_mutex_);
  const size_t before = capacity();
  const auto set = [&](size_t capacity) {
    capacity_.store(capacity, std::memory_order_relaxed);
    SetLaneFrames(capacity);
    const std::scoped_lock policy_lock(policy_mutex_);
    eviction_->SetCapacity(capacity);
  };
  set(frames);
  ReturnAll();
  while (used() > frames) {
    if (GiveToPagePool()) continue;
    const Evicted evicted = EvictSome(kBatchMax, Writes::kAll);
    if (!patience.IsInVain(evicted.picked(), evicted.frames, 2 * used())) continue;
    if (evicted.error || patience.IsOver()) {
      set(before);
      return tl::unexpected(evicted.error ? *evicted.error : AllPinned());
    }
    ReturnAll();
    patience.LookAgain();
    std::this_thread::sleep_for(kPause);
  }
  return {};
}

size_t FrameSupply::Release(size_t bytes, Clock::time_point deadline) noexcept {
  const size_t page_bytes = pages_.page_bytes();
  const size_t wanted = (bytes + page_bytes - 1) / page_bytes;
  size_t given = 0;
  bool has_all = false;
  Patience patience(Clock::duration::zero());
  while (given < wanted && Clock::now() < deadline) {
    if (GiveToPagePool()) {
      ++given;
      continue;
    }
    const Evicted evicted = EvictSome(std::min(wanted - given, kBatchMax), Writes::kNone);
    if (!patience.IsInVain(evicted.picked(), evicted.frames, used())) continue;
    // Once more with those of scans.
    if (has_all) break;
    has_all = true;
    ReturnAll();
    patience.LookAgain();
  }
  return given != 0 ? pages_.Trim(0) : 0;
}

// --- Lanes --------------------------------------------------------------------------------------

// A policy that is told of each hit has to know the page before it.
void FrameSupply::SetLaneFrames(size_t capacity) noexcept {
  const size_t frames = hits_ != nullptr ? BatchFrames(capacity) : 0;
  lane_frames_.store(frames > 1 ? frames : 0, std::memory_order_relaxed);
}

void FrameSupply::TellOfFresh(FrameLane& lane) noexcept {
  const auto fresh = std::span(lane.fresh).first(std::exchange(lane.fresh_count, 0));
  for (size_t i = 0; i < fresh.size(); ++i) {
    Frame& its = parts_.frames[fresh[i]];
    if (its.use.load(std::memory_order_relaxed) == Frame::Use::kGone) {
      its.use.store(Frame::Use::kFree, std::memory_order_relaxed);
      Return(fresh[i]);
      continue;
    }
    its.use.store(Frame::Use::kPolicy, std::memory_order_relaxed);
    // The policy begins with none.
    const uint8_t hits = hits_[fresh[i]].load(std::memory_order_relaxed);
    eviction_->OnInsert(fresh[i], its.key.load(std::memory_order_relaxed), lane.fresh_access[i]);
    if (hits != 0) hits_[fresh[i]].store(hits, std::memory_order_relaxed);
  }
}

std::span<const FrameIndex> FrameSupply::PutFree(FrameLane& lane,
                                                 std::span<const FrameIndex> frames) noexcept {
  const std::scoped_lock lock(lane.mutex);
  const size_t before = lane.free_count.load(std::memory_order_relaxed);
  const size_t room = std::max(LaneFrames(), before) - before;
  const auto kept = frames.first(std::min(room, frames.size()));
  std::ranges::copy(kept, lane.free.begin() + static_cast<std::ptrdiff_t>(before));
  lane.free_count.store(static_cast<uint32_t>(before + kept.size()), std::memory_order_relaxed);
  return frames.subspan(kept.size());
}

void FrameSupply::Empty(FrameLane& lane) noexcept {
  const std::scoped_lock lock(lane.mutex);
  for (uint32_t left = lane.free_count.exchange(0, std::memory_order_relaxed); left != 0;) {
    Return(lane.free[--left]);
  }
  const std::scoped_lock policy_lock(policy_mutex_);
  TellOfFresh(lane);
}

size_t FrameSupply::FreeInLanes() const noexcept {
  size_t frames = 0;
  for (const FrameLane& lane : lanes_) frames += lane.free_count.load(std::memory_order_relaxed);
  return frames;
}

uint64_t FrameSupply::misses() const noexcept {
  uint64_t misses = 0;
  for (const FrameLane& lane : lanes_) misses += lane.misses.load(std::memory_order_relaxed);
  return misses;
}

Error FrameSupply::AllPinned() const {
  std::string message = "no page of the " + std::to_string(capacity()) + " frames can be evicted: ";
  if (used() < capacity()) {
    message += "the page pool has no more than " + std::to_string(used()) + " for them, and ";
  }
  if (parts_.ledger != nullptr) {
    const std::vector<PinRecord> pins = parts_.ledger->Pins();
    message += std::to_string(pins.size()) + " pins are held: " + Describe(pins);
  } else {
    message += "all are latched, being read or being written";
  }
  return {.code = ErrorCode::kOutOfMemory,
          .message = std::move(message),
          .where = "BufferPool: a frame for a page"};
}

}  // namespace granary::buffer
