#include "pool/buffer/buffer_pool_core.h"

#include <algorithm>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "pool/page_pool.h"

namespace granary {

using buffer::BufferedFile;

namespace {

Error Invalid(std::string message, const char* where) {
  return {.code = ErrorCode::kInvalidArgument, .message = std::move(message), .where = where};
}

size_t LowFrames(const BufferPoolOptions& options) noexcept {
  return options.evictor_low_frames != 0 ? options.evictor_low_frames : options.frames / 100;
}

size_t HighFrames(const BufferPoolOptions& options) noexcept {
  return options.evictor_high_frames != 0 ? options.evictor_high_frames : options.frames / 50;
}

}  // namespace

Expected<void> BufferPoolOptions::Validate() const {
  constexpr const char* kWhere = "BufferPoolOptions";
  if (pages == nullptr) return tl::unexpected(Invalid("there is no page pool", kWhere));
  const size_t frames_max = std::min(pages->slab().page_count(), kEvictionFramesMax);
  if (frames < kFramesMin || frames > frames_max) {
    return tl::unexpected(Invalid("frames is " + std::to_string(frames) + ", not from " +
                                      std::to_string(kFramesMin) + " to the " +
                                      std::to_string(frames_max) + " that the page pool has",
                                  kWhere));
  }
  if (!PageStore::IsPageSize(pages->page_bytes())) {
    return tl::unexpected(Invalid("pages of " + std::to_string(pages->page_bytes()) +
                                      " bytes: a file's have from " +
                                      std::to_string(PageStore::kPageBytesMin) + " to " +
                                      std::to_string(PageStore::kPageBytesMax),
                                  kWhere));
  }
  if (write_batch_pages == 0 || write_batch_pages > kBatchPagesMax) {
    return tl::unexpected(Invalid("write_batch_pages is " + std::to_string(write_batch_pages) +
                                      ", not from 1 to " + std::to_string(kBatchPagesMax),
                                  kWhere));
  }
  if (HighFrames(*this) < LowFrames(*this) || HighFrames(*this) >= frames) {
    return tl::unexpected(Invalid("the evictor is to begin at " + std::to_string(LowFrames(*this)) +
                                      " and to end at " + std::to_string(HighFrames(*this)) +
                                      " free frames of " + std::to_string(frames),
                                  kWhere));
  }
  if (prefetch_threads > kPrefetchThreadsMax) {
    return tl::unexpected(Invalid("prefetch_threads is " + std::to_string(prefetch_threads) +
                                      ", and may be " + std::to_string(kPrefetchThreadsMax),
                                  kWhere));
  }
  if (double_write != nullptr && double_write->page_bytes() != pages->page_bytes()) {
    return tl::unexpected(
        Invalid("the store for images has pages of " + std::to_string(double_write->page_bytes()) +
                    " bytes, and the pool's have " + std::to_string(pages->page_bytes()),
                kWhere));
  }
  return {};
}

Expected<BufferPoolCore::Parts> BufferPoolCore::MakeParts(const BufferPoolOptions& options,
                                                          buffer::Translation& translation) {
  auto frames = buffer::FrameTable::Create(*options.pages, nullptr);
  if (!frames) return tl::unexpected(std::move(frames.error()));
  auto eviction = MakeEviction(options.eviction, options.pages->slab().page_count());
  if (!eviction) return tl::unexpected(std::move(eviction.error()));
  Parts parts;
  parts.parts = std::make_unique<buffer::PoolParts>(std::move(*frames), translation,
                                                    options.files_max, options.record_pins);
  if (options.double_write != nullptr) {
    parts.double_write = std::make_unique<buffer::DoubleWrite>(options.double_write);
  }
  auto write_back = buffer::WriteBack::Create(*parts.parts, options.write_batch_pages,
                                              options.wal_gate, parts.double_write.get());
  if (!write_back) return tl::unexpected(std::move(write_back.error()));
  parts.write_back = std::move(*write_back);
  parts.supply = std::make_unique<buffer::FrameSupply>(
      *parts.parts, *options.pages, std::move(*eviction), *parts.write_back, options.frames);
  return parts;
}

BufferPoolCore::BufferPoolCore(const BufferPoolOptions& options, Parts parts)
    : parts_(std::move(parts)),
      all_(parts_.parts.get()),
      addresses_{options.pages->At(0), options.pages->page_bytes()},
      hits_(parts_.supply->hits()),
      hits_max_(parts_.supply->hits_max()),
      records_pins_(options.record_pins),
      pages_(*options.pages),
      budget_(options.budget),
      reclaim_priority_(options.reclaim_priority),
      gate_(options.wal_gate),
      frame_wait_(options.frame_wait),
      evictor_high_frames_(HighFrames(options)),
      ring_(*parts_.supply, options.scan_ring_frames),
      prefetcher_(std::in_place, options.prefetch_threads,
                  [this](buffer::Prefetcher::Some& some) { BringInBackground(some); }) {
  if (options.has_evictor && LowFrames(options) != 0) {
    try {
      evictor_ = std::make_unique<buffer::Evictor>([this] {
        const auto [is_done, frames] = parts_.supply->EvictAhead(evictor_high_frames_);
        return is_done       ? buffer::Evictor::Outcome::kDone
               : frames != 0 ? buffer::Evictor::Outcome::kMore
                             : buffer::Evictor::Outcome::kStuck;
      });
      parts_.supply->SetEvictor(LowFrames(options), [this] { evictor_->Call(); });
    } catch (const std::system_error&) {
      // Who needs a frame evicts, as without one.
    }
  }
}

void BufferPoolCore::Start() {
  if (budget_ != nullptr) budget_->AddReclaimer(*this, reclaim_priority_);
}

void BufferPoolCore::Stop() noexcept {
  if (budget_ != nullptr) budget_->RemoveReclaimer(*this);
  prefetcher_.reset();
  evictor_.reset();
  // Nobody has a page latched: what is resident goes, written or not.
  buffer::PoolParts& its = parts();
  parts_.supply->ReturnAll();
  for (FrameIndex frame = 0; frame < its.frames.used_end(); ++frame) {
    const auto use = its.frames[frame].use.load(std::memory_order_relaxed);
    if (use != buffer::Frame::Use::kPolicy) continue;
    its.frames.MarkClean(frame);
    const PageKey key = its.frames[frame].key.load(std::memory_order_relaxed);
    if (buffer::PageEntry* const entry = its.TryExclusive(key, frame)) {
      (void)entry->Evict(frame);
      its.translation.LetGo(PageOf(key));
      parts_.supply->Discarded(frame);
    }
  }
}

BufferPoolCore::~BufferPoolCore() = default;

// --- Files --------------------------------------------------------------------------------------

Expected<FileId> BufferPoolCore::Attach(AttachOptions options) {
  constexpr const char* kWhere = "BufferPool::Attach";
  if (options.store == nullptr) return tl::unexpected(Invalid("there is no store", kWhere));
  if (options.store->page_bytes() != page_bytes()) {
    return tl::unexpected(Invalid("pages of " + std::string(options.store->name()) + " have " +
                                      std::to_string(options.store->page_bytes()) +
                                      " bytes, and frames " + std::to_string(page_bytes()),
                                  kWhere));
  }
  const uint64_t pages = options.store->PageCount();
  if (options.pages_max < pages) {
    return tl::unexpected(Invalid(std::string(options.store->name()) + " has " +
                                      std::to_string(pages) + " pages, and pages_max is " +
                                      std::to_string(options.pages_max),
                                  kWhere));
  }
  if (options.codec == nullptr) options.codec = std::make_unique<PlainPageCodec>();
  const std::scoped_lock lock(attach_mutex_);
  buffer::FileSet& files = parts().files;
  const FileId id = options.id ? *options.id : files.FirstFree();
  if (id >= files.files_max()) {
    return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                                .message = "there may be " + std::to_string(files.files_max()) +
                                           " files, with ids below that",
                                .where = kWhere});
  }
  if (files.Find(id) != nullptr) {
    return tl::unexpected(Invalid("file " + std::to_string(id) + " is attached already", kWhere));
  }
  if (parts_.double_write != nullptr) {
    if (options.codec->header_bytes() != PageHeader::kBytes) {
      return tl::unexpected(Invalid("images are kept of pages, and those of " +
                                        std::string(options.store->name()) +
                                        " do not say whose they are",
                                    kWhere));
    }
    auto repaired = parts_.double_write->Repair(id, *options.store);
    if (!repaired) return tl::unexpected(std::move(repaired.error()));
  }
  if (auto added = parts().translation.AddFile(id, options.pages_max); !added) {
    return tl::unexpected(std::move(added.error()));
  }
  auto file = std::make_unique<BufferedFile>();
  file->store = std::move(options.store);
  file->codec = std::move(options.codec);
  file->next_page.store(file->store->PageCount(), std::memory_order_relaxed);
  files.Add(id, std::move(file));
  return id;
}

Expected<void> BufferPoolCore::Detach(FileId file) {
  constexpr const char* kWhere = "BufferPool::Detach";
  const std::scoped_lock lock(attach_mutex_);
  buffer::PoolParts& its = parts();
  BufferedFile* const found = its.files.Find(file);
  if (found == nullptr) {
    return tl::unexpected(Invalid("there is no file " + std::to_string(file), kWhere));
  }
  const auto busy = [&] {
    return tl::unexpected(Error{
        .code = ErrorCode::kBusy,
        .message = std::string(found->store->name()) + " has pages that somebody has, or asks for",
        .where = kWhere});
  };
  prefetcher_->Forget(file);
  if (auto flushed = FlushPaced(UINT64_MAX, file, SIZE_MAX); !flushed) return flushed;
  if (auto synced = found->store->Sync(); !synced) return synced;
  parts_.supply->ReturnAll();
  // An evictor may have some in its hands for a moment.
  const Clock::time_point deadline = Clock::now() + frame_wait_;
  for (bool is_left = true; is_left;) {
    is_left = false;
    for (FrameIndex frame = 0; frame < its.frames.used_end(); ++frame) {
      buffer::Frame& one = its.frames[frame];
      const auto use = one.use.load(std::memory_order_relaxed);
      const PageKey key = one.key.load(std::memory_order_relaxed);
      if (use == buffer::Frame::Use::kFree || use == buffer::Frame::Use::kGone ||
          PageOf(key).file != file) {
        continue;
      }
      buffer::PageEntry* const entry = its.TryExclusive(key, frame);
      if (entry == nullptr || one.is_dirty.load(std::memory_order_relaxed)) {
        if (entry != nullptr) its.Woken(*entry, entry->ReleaseExclusive(false));
        is_left = true;
        continue;
      }
      its.Woken(*entry, entry->Evict(frame));
      its.translation.LetGo(PageOf(key));
      parts_.supply->Discarded(frame);
    }
    if (is_left && Clock::now() >= deadline) return busy();
    if (is_left) std::this_thread::yield();
  }
  while (!its.translation.RemoveFile(file, its.sections)) {
    if (Clock::now() >= deadline) return busy();
    std::this_thread::yield();
  }
  // Pages that were discarded while they were written may be on their way still.
  const buffer::WriteBack::Pause pause(*parts_.write_back);
  (void)its.files.Remove(file);
  return {};
}

// --- Memory -------------------------------------------------------------------------------------

Expected<void> BufferPoolCore::Resize(size_t frames) {
  const size_t frames_max = pages_.slab().page_count();
  if (frames < BufferPoolOptions::kFramesMin || frames > frames_max) {
    return tl::unexpected(Invalid(std::to_string(frames) + " frames: there may be from " +
                                      std::to_string(BufferPoolOptions::kFramesMin) + " to " +
                                      std::to_string(frames_max),
                                  "BufferPool::Resize"));
  }
  buffer::Patience patience(frame_wait_);
  return parts_.supply->Resize(frames, patience);
}

size_t BufferPoolCore::Reclaim(size_t bytes, Reclaimer::Clock::time_point deadline) noexcept {
  const size_t entries = TrimEntries();
  if (entries >= bytes) return entries;
  // Who needs memory mostly needs more soon, and each time threads are stopped.
  constexpr size_t kAtOnceBytes = size_t{1} << 20;
  const size_t at_once = std::min(kAtOnceBytes, parts_.supply->used() / 16 * page_bytes());
  return entries + parts_.supply->Release(std::max(bytes - entries, at_once), deadline);
}

// A page of our own goes before anybody else is asked.
bool BufferPoolCore::MakeRoomForEntries(Asks asks) noexcept {
  if (budget_ == nullptr) return false;
  if (TrimEntries() != 0) return true;
  const size_t bytes = parts().translation.step_bytes();
  if (parts_.supply->Release(bytes, Clock::now() + frame_wait_) >= bytes) return true;
  if (asks == Asks::kNobody || !budget_->TryCharge(bytes)) return false;
  budget_->Release(bytes);
  return true;
}

std::vector<PageId> BufferPoolCore::ResidentPages() const {
  std::vector<PageId> pages;
  const buffer::FrameTable& frames = parts().frames;
  for (FrameIndex frame = 0; frame < frames.used_end(); ++frame) {
    const auto use = frames[frame].use.load(std::memory_order_relaxed);
    if (use == buffer::Frame::Use::kFree || use == buffer::Frame::Use::kGone) continue;
    pages.push_back(PageOf(frames[frame].key.load(std::memory_order_relaxed)));
  }
  return pages;
}

BufferPoolStats BufferPoolCore::Stats() const noexcept {
  const auto now = [](const std::atomic<uint64_t>& count) {
    return count.load(std::memory_order_relaxed);
  };
  const buffer::FrameSupply& supply = *parts_.supply;
  const buffer::WriteBack& write_back = *parts_.write_back;
  return {.frames = supply.capacity(),
          .used_frames = supply.used(),
          .free_frames = supply.FreeFrames(),
          .dirty_pages = parts().frames.dirty_count(),
          .entry_bytes = parts().translation.held_bytes(),
          .misses = supply.misses(),
          .prefetched = now(prefetched_),
          .evictions = supply.evictions(),
          .foreground_batches = supply.foreground_batches(),
          .ring_reuses = supply.ring_reuses(),
          .written_pages = write_back.written_pages(),
          .write_batches = write_back.batches(),
          .log_waits = write_back.log_waits(),
          .read_errors = now(read_errors_),
          .write_errors = write_back.errors(),
          .waits = now(waits_)};
}

std::vector<PinRecord> BufferPoolCore::Pins() const {
  return records_pins_ ? parts().ledger->Pins() : std::vector<PinRecord>();
}

}  // namespace granary
