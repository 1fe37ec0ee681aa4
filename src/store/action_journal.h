#pragma once
// The memory of actions: an append-only file of chained lines (journal_lines.h) in a folder of its
// own, one writer at a time. A step is kept once append() has returned: written and synced. What
// could not be kept leaves no trace. Begins a new file when the old one is large; the old ones stay
// beside it, the latest of them. Owned by the desk; one thread at a time.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "facts/action.h"
#include "store/file_calls.h"
#include "store/journal_lines.h"

namespace outguard::store {

/// The record as it is after the step, and who took it.
struct JournalStep {
  ActionRecord record;
  std::string actor;
};

struct JournalLimits {
  std::size_t most_bytes = std::size_t{64} << 20U; ///< of one file: bounds how long a start takes
  std::size_t kept_files = 16;                     ///< old ones
};

class ActionJournal {
public:
  struct Opened;

  /// Makes the folder where there is none. A torn last line is moved into "actions.torn" and told.
  /// LimitReached: somebody else writes it. InvalidInput: damaged; says where and what to do.
  [[nodiscard]] static Result<Opened> open(const std::string &folder, JournalLimits limits = {},
                                           std::shared_ptr<FileCalls> calls = nullptr);
  ~ActionJournal() = default;
  ActionJournal(const ActionJournal &) = delete;
  ActionJournal &operator=(const ActionJournal &) = delete;

  /// All or none of them, with one write and one sync.
  [[nodiscard]] Result<void> append(std::span<const JournalStep> steps);
  [[nodiscard]] Result<void> append(const Protection &entry, const std::string &actor);

  [[nodiscard]] bool is_large() const;
  /// Goes on in a new file that has `records` and `allowed` carried over. Fails: goes on in the old
  /// one.
  [[nodiscard]] Result<void> start_anew(std::span<const ActionRecord> records,
                                        std::span<const Protection> allowed = {});

  [[nodiscard]] const JournalPosition &position() const { return at_; }

private:
  ActionJournal(std::string folder, JournalLimits limits, std::shared_ptr<FileCalls> calls);

  [[nodiscard]] Result<JournalRead> load(std::string &told);
  [[nodiscard]] Result<void> begin_file();
  /// What follows `at_` up to `at`.
  [[nodiscard]] Result<void> append_text(const std::string &text, JournalPosition at);
  [[nodiscard]] Result<void> write_synced(int file, std::string_view bytes);
  /// Takes away what follows the last step that was kept.
  [[nodiscard]] Result<void> repair();
  void set_aside(std::string_view torn);
  void forget_old_files();
  [[nodiscard]] std::string in_folder(const std::string &name) const;

  const std::string folder_;
  const JournalLimits limits_;
  const std::shared_ptr<FileCalls> calls_;
  Fd folder_fd_, lock_, file_;
  JournalPosition at_;
  std::uint64_t first_seq_ = 1;
  std::size_t bytes_ = 0;         ///< of the file, all synced
  std::size_t carried_bytes_ = 0; ///< of those, what it began with
  bool torn_ = false;             ///< the file may have more than bytes_
  bool folder_dirty_ = false;     ///< that this is the file may be forgotten
};

struct ActionJournal::Opened {
  std::unique_ptr<ActionJournal> journal;
  std::vector<ActionRecord> records;
  std::vector<Protection> allowed;
  std::string told; ///< what was set aside; empty: nothing
};

/// Reads, changes nothing.
[[nodiscard]] Result<JournalRead> check_journal(const std::string &path);

/// Names of the journal's files in a folder, the oldest first, the one that is written to last.
[[nodiscard]] std::vector<std::string> journal_files(const std::string &folder);

} // namespace outguard::store
