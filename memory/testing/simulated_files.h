// SimulatedFiles: a file system in memory whose calls fail, whose power is cut and whose process is
// killed where a test says so.
//
//   SimulatedFiles files;
//   Save(files);                              // Counts its calls.
//   const size_t calls = files.calls();
//   for (size_t nth = 1; nth <= calls; ++nth) {
//     SimulatedFiles world;
//     world.CutPower(nth);
//     Save(world);                            // Fails from its nth call on.
//     world.Reboot(random);
//     Check(world);                           // What a machine finds that comes up again.
//   }
//
// It is as unkind as POSIX allows. Of what was written since a file's last Sync each write is there
// after a power cut or is not, or some of its sectors of 512 bytes are, whatever came after it; and
// the file may have its new size with zeros in place of what was written. Names that were made,
// renamed or unlinked since the last Sync of their folder are as they were at some moment since
// then: a Sync of the file alone does not keep its name. A kill loses nothing that a call returned
// from, and breaks off the one that it comes in.
//
// Folders are there when somebody asks for them. Paths are compared as they are written, but for
// "./" at their begin. There are no links, no appending, no renames from one folder to another
// (EXDEV), and no mappings (ENODEV): stores to memory cannot be followed.
//
// Threading. Any thread may call anything.
#ifndef GRANARY_MEMORY_TESTING_SIMULATED_FILES_H_
#define GRANARY_MEMORY_TESTING_SIMULATED_FILES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "memory/file_calls.h"

namespace granary {

class SimulatedFiles final : public FileCalls {
 public:
  static constexpr size_t kSectorBytes = 512;

  enum class Call : uint8_t {
    kOpen,
    kClose,
    kReadAt,
    kWriteAt,
    kSync,
    kTruncate,
    kSize,
    kRename,
    kUnlink,
    kLock,
    kMap,
    kReadVectorAt,
    kWriteVectorAt,
    kAllocate,
    kDirectAlignmentOf,
    kUnlock,
  };
  static constexpr size_t kCalls = 16;

  // A number below `limit`, which is not 0. What becomes of unsynced writes is asked of it, one
  // question after the other, so that a test may also try all answers.
  using Choose = std::function<size_t(size_t limit)>;

  SimulatedFiles();
  ~SimulatedFiles() override;

  // --- What shall go wrong ----------------------------------------------------------------------

  // The nth call from now on, counted from 1, fails with this errno and does nothing; 0 fails none.
  void FailCall(size_t nth, int system_errno);
  // The same among the calls of one kind.
  void FailCall(Call kind, size_t nth, int system_errno);
  // A read or a write does so many bytes at most; 0 for as many as it is asked for.
  void LimitTransfers(size_t bytes);
  // Files can be opened with O_DIRECT, which they cannot from the start, and are read and written
  // then at multiples of these alone (EINVAL): memory, offsets and lengths. `is_told` says whether
  // DirectAlignmentOf answers.
  void AllowDirect(DirectAlignment alignment, bool is_told = true);
  // Allocate fails with EOPNOTSUPP from now on.
  void ForbidAllocation();
  // The power goes in the nth call from now on: whether that is done nobody learns, and it and all
  // that follow fail with EIO. Reboot() comes next.
  void CutPower(size_t nth);
  // The same for the process. Restart() comes next.
  void Kill(size_t nth);
  // Whether the power has been cut, or the process killed.
  bool is_down() const;

  // What a power cut leaves; nobody has a file open. Also without one before: then now.
  void Reboot(const Choose& choose);
  void Reboot(std::mt19937_64& random);
  // What a kill leaves: all, and a part, from its begin, of the write that it came in.
  void Restart(const Choose& choose);
  void Restart(std::mt19937_64& random);

  // --- What happened ----------------------------------------------------------------------------

  // Calls since it was made, or since ForgetCalls(); those that failed are among them.
  size_t calls() const;
  size_t calls(Call kind) const;
  void ForgetCalls();
  // Files and folders that are open: 0 when nobody leaks.
  size_t open_files() const;
  // Writes and truncations of this file that no Sync has made durable.
  size_t unsynced_writes(const std::string& path) const;

  // --- Files as the test sees them, which are no calls ------------------------------------------

  // What the file has now; nothing if there is none.
  std::optional<std::vector<std::byte>> Contents(const std::string& path) const;
  // A file with these contents, durably.
  void Put(const std::string& path, std::span<const std::byte> contents);
  // All files, sorted.
  std::vector<std::string> Paths() const;

  // --- FileCalls --------------------------------------------------------------------------------

  int Open(const char* path, int flags, mode_t mode) noexcept override;
  int Close(int file) noexcept override;
  ssize_t ReadAt(int file, void* bytes, size_t count, off_t offset) noexcept override;
  ssize_t WriteAt(int file, const void* bytes, size_t count, off_t offset) noexcept override;
  int Sync(int file) noexcept override;
  ssize_t ReadVectorAt(int file, const iovec* pieces, int count, off_t offset) noexcept override;
  ssize_t WriteVectorAt(int file, const iovec* pieces, int count, off_t offset) noexcept override;
  int Truncate(int file, off_t bytes) noexcept override;
  int Allocate(int file, off_t offset, off_t bytes) noexcept override;
  off_t Size(int file) noexcept override;
  int Rename(const char* from, const char* to) noexcept override;
  int Unlink(const char* path) noexcept override;
  int Lock(int file, bool is_exclusive) noexcept override;
  int Unlock(int file) noexcept override;
  void* Map(int file, size_t bytes, int protection, off_t offset) noexcept override;
  int DirectAlignmentOf(int file, DirectAlignment* alignment) noexcept override;

 private:
  using Bytes = std::vector<std::byte>;

  // A change of a file's contents: a write, or a new size. A write of nothing is an allocation: the
  // file is as large as its offset then, or larger.
  struct Change {
    bool is_truncation = false;
    uint64_t offset_or_size = 0;
    Bytes bytes;
  };
  struct Node {
    Bytes now;
    // As of the last Sync, and what was done since.
    Bytes durable;
    std::vector<Change> changes;
  };
  using NodePtr = std::shared_ptr<Node>;
  using Names = std::map<std::string, NodePtr>;

  // A change of a folder's names: a file made (`to`), unlinked (`from`) or renamed (both).
  struct NameChange {
    std::string from;
    std::string to;
    NodePtr made;
  };
  struct Folder {
    Names durable;
    std::vector<NameChange> changes;
  };
  // What a descriptor stands for: a file, or a folder.
  struct Opened {
    NodePtr node;
    std::string folder;
    bool reads = false;
    bool writes = false;
    bool is_direct = false;
  };
  struct Lease {
    int holder;
    bool is_exclusive;
  };

  enum class Outcome : uint8_t {
    kGoesOn,
    kFails,    // errno is set; nothing is done.
    kLastOne,  // The power goes, or the process: it is done, or a part of it, and fails.
  };
  enum class End : uint8_t { kNone, kPowerCut, kKill };

  // Counts the call, and says what becomes of it.
  Outcome Begin(Call kind);
  ssize_t Read(Call kind, int file, std::span<const iovec> pieces, off_t offset);
  ssize_t Write(Call kind, int file, std::span<const iovec> pieces, off_t offset);
  // Whether O_DIRECT takes it.
  bool IsAligned(std::span<const iovec> pieces, off_t offset) const;
  static int Fail(int system_errno);
  Opened* Find(int file);
  static void Apply(const Change& change, Bytes& contents);
  static void Apply(const NameChange& change, Names& names);
  // What is left of a change of a file after a power cut.
  static void ApplyPart(const Change& change, const Choose& choose, Bytes& contents);
  void ChangeContents(const NodePtr& node, Change change, bool is_last);
  void ChangeName(NameChange change, bool is_last);
  void ComeUp();

  mutable std::mutex mutex_;
  Names names_;
  std::map<std::string, Folder> folders_;
  std::map<int, Opened> opened_;
  std::multimap<const Node*, Lease> leases_;
  // Never used again, so that whoever closes late closes nobody else's.
  int next_file_ = 3;

  std::array<size_t, kCalls> counts_ = {};
  size_t count_ = 0;
  size_t fail_in_ = 0;
  int fail_errno_ = 0;
  Call fail_kind_ = Call::kOpen;
  size_t fail_kind_in_ = 0;
  int fail_kind_errno_ = 0;
  size_t transfer_bytes_max_ = 0;
  DirectAlignment direct_;
  bool tells_direct_ = false;
  bool allocates_ = true;
  size_t end_in_ = 0;
  End end_ = End::kNone;
  bool is_down_ = false;
  // The write that a kill broke off.
  NodePtr broken_off_node_;
  Change broken_off_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_TESTING_SIMULATED_FILES_H_
