#include "store/action_journal.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>

namespace outguard::store {

namespace {

constexpr std::string_view kOld = "actions-";
constexpr const char *kFile = "actions.jsonl";
constexpr const char *kNewFile = "actions.new";
constexpr const char *kTornFile = "actions.torn";
constexpr const char *kLockFile = "actions.lock";
constexpr off_t kMostRead = off_t{1} << 30U;
constexpr mode_t kOwnerOnly = 0600;
constexpr int kSafely = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK; ///< no link, no pipe

Result<std::string> read_whole(FileCalls &calls, int file, const std::string &path) {
  constexpr std::size_t kChunk = std::size_t{4} << 20U;
  std::string bytes;
  for (;;) {
    const auto had = bytes.size();
    bytes.resize(had + kChunk);
    const auto got = calls.read(file, bytes.data() + had, kChunk);
    bytes.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) {
      return fail_errno("cannot read the journal " + path);
    }
    if (got == 0) {
      return bytes;
    }
  }
}

Result<void> check_file(FileCalls &calls, int file, const std::string &path) {
  struct stat found {};
  if (calls.stat(file, found) != 0) {
    return fail_errno("cannot look at the journal " + path);
  }
  if (!S_ISREG(found.st_mode)) {
    return fail(ErrorCode::InvalidInput, "the journal " + path + " is not a file");
  }
  if (found.st_size > kMostRead) {
    return fail(ErrorCode::LimitReached, "the journal " + path + " is larger than any of ours");
  }
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(ErrorCode::Permission,
                "the journal " + path + " can be written by others: check it, then chmod 600");
  }
  return {};
}

/// More lines than any file of ours has.
constexpr std::uint64_t kManyLines = 100'000'000;

/// That the folder is there is on the disk, too.
void sync_parents(FileCalls &calls, const std::filesystem::path &folder) {
  for (auto at = std::filesystem::absolute(folder); at.has_relative_path(); at = at.parent_path()) {
    const Fd file(calls.open(at.parent_path().string(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    static_cast<void>(file && calls.fsync(file.get()) == 0); // not every file system can
  }
}

/// The number in an old file's name; 0: it has none of ours.
std::uint64_t first_seq_of(std::string_view name) {
  std::uint64_t number = 0;
  name.remove_prefix(std::min(name.size(), kOld.size()));
  std::from_chars(name.data(), name.data() + name.size(), number);
  return number;
}

/// The oldest first: numbers of one length sort as text.
std::vector<std::string> old_files(const std::string &folder) {
  std::vector<std::string> old;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (name.starts_with(kOld) && name.ends_with(".jsonl")) {
      old.push_back(name);
    }
  }
  std::sort(old.begin(), old.end());
  return old;
}

Result<JournalRead> read_named(std::string_view bytes, const std::string &path) {
  auto read = read_journal(bytes);
  if (!read) {
    return fail(
        read.error().code,
        fmt::format("the journal {} is damaged: {}. Nothing is acted on from half a memory: "
                    "keep the file as evidence under another name, look at what is in "
                    "force, and start again",
                    path, read.error().message));
  }
  return read;
}

} // namespace

ActionJournal::ActionJournal(std::string folder, JournalLimits limits,
                             std::shared_ptr<FileCalls> calls)
    : folder_(std::move(folder)), limits_(limits), calls_(std::move(calls)) {}

std::string ActionJournal::in_folder(const std::string &name) const {
  return folder_ + "/" + name;
}

Result<ActionJournal::Opened> ActionJournal::open(const std::string &folder, JournalLimits limits,
                                                  std::shared_ptr<FileCalls> calls) {
  if (!calls) {
    calls = std::make_shared<FileCalls>();
  }
  Opened opened;
  opened.journal.reset(new ActionJournal(folder, limits, std::move(calls)));
  auto read = opened.journal->load(opened.told);
  if (!read) {
    return tl::unexpected(read.error());
  }
  opened.records = std::move(read->records);
  opened.allowed = std::move(read->allowed);
  return opened;
}

Result<JournalRead> ActionJournal::load(std::string &told) {
  std::error_code ignored; // what is wrong shows when it is opened
  if (std::filesystem::create_directories(folder_, ignored)) {
    sync_parents(*calls_, folder_);
  }
  folder_fd_ = Fd(calls_->open(folder_, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  lock_ = Fd(calls_->open(in_folder(kLockFile), O_RDWR | O_CREAT | kSafely, kOwnerOnly));
  if (!folder_fd_ || !lock_) {
    return fail_errno("cannot open the journal's folder " + folder_);
  }
  if (calls_->lock(lock_.get()) != 0) {
    return fail(ErrorCode::LimitReached, "the journal in " + folder_ + " is used by another");
  }
  const auto path = in_folder(kFile);
  file_ = Fd(calls_->open(path, O_RDWR | O_APPEND | O_CREAT | kSafely, kOwnerOnly));
  if (!file_) {
    return fail_errno("cannot open the journal " + path);
  }
  if (const auto good = check_file(*calls_, file_.get(), path); !good) {
    return tl::unexpected(good.error());
  }
  const auto bytes = read_whole(*calls_, file_.get(), path);
  if (!bytes) {
    return tl::unexpected(bytes.error());
  }
  auto read = read_named(*bytes, path);
  if (!read) {
    return read;
  }
  at_ = read->end;
  first_seq_ = std::max<std::uint64_t>(read->first_seq, 1);
  bytes_ = read->good_bytes;
  folder_dirty_ = true; // made just now, or by one that did not get so far
  if (bytes_ < bytes->size()) {
    set_aside(std::string_view(*bytes).substr(bytes_));
    told = fmt::format("the journal {} ended in the piece of a line ({} bytes), which nobody was "
                       "told was kept; it is in {} now",
                       path, bytes->size() - bytes_, kTornFile);
    torn_ = true;
  }
  if (const auto begun = begin_file(); !begun) {
    return tl::unexpected(begun.error());
  }
  return read;
}

Result<void> ActionJournal::begin_file() {
  if (bytes_ > 0) {
    return append({});
  }
  // The one that these go on in was taken away: what begins now is no part of their chain, which
  // a check tells, and takes no name of theirs.
  if (const auto old = old_files(folder_); !old.empty()) {
    at_.next_seq = first_seq_ = first_seq_of(old.back()) + kManyLines;
  }
  auto at = at_;
  const auto line = checkpoint_line(at, 0);
  if (const auto repaired = repair(); !repaired) {
    return repaired;
  }
  if (auto written = write_synced(file_.get(), line); !written) {
    torn_ = true;
    static_cast<void>(repair());
    return written;
  }
  at_ = std::move(at);
  bytes_ = carried_bytes_ = line.size();
  return {};
}

Result<void> ActionJournal::write_synced(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto done = calls_->write(file, bytes.data(), bytes.size());
    if (done <= 0) {
      return fail_errno("cannot write the journal in " + folder_);
    }
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return calls_->fsync(file) == 0
             ? Result<void>()
             : Result<void>(fail_errno("cannot sync the journal in " + folder_));
}

Result<void> ActionJournal::repair() {
  if (torn_) {
    if (calls_->truncate(file_.get(), static_cast<off_t>(bytes_)) != 0 ||
        calls_->fsync(file_.get()) != 0) {
      return fail_errno("cannot take back what the journal in " + folder_ + " has not whole");
    }
    torn_ = false;
  }
  if (folder_dirty_) {
    if (calls_->fsync(folder_fd_.get()) != 0) {
      return fail_errno("cannot sync the journal's folder " + folder_);
    }
    folder_dirty_ = false;
  }
  return {};
}

Result<void> ActionJournal::append(std::span<const JournalStep> steps) {
  auto at = at_;
  std::string text;
  for (const auto &step : steps) {
    auto line = journal_line(at, step.record, step.actor);
    if (!line) {
      return tl::unexpected(line.error());
    }
    text += *line;
  }
  return append_text(text, std::move(at));
}

Result<void> ActionJournal::append(const Protection &entry, const std::string &actor) {
  auto at = at_;
  const auto line = journal_line(at, entry, actor);
  return line ? append_text(*line, std::move(at)) : tl::unexpected(line.error());
}

Result<void> ActionJournal::append_text(const std::string &text, JournalPosition at) {
  if (auto repaired = repair(); !repaired || text.empty()) {
    return repaired;
  }
  if (auto written = write_synced(file_.get(), text); !written) {
    torn_ = true;
    static_cast<void>(repair()); // else before the next step
    return written;
  }
  at_ = std::move(at);
  bytes_ += text.size();
  return {};
}

bool ActionJournal::is_large() const {
  // Twice what was carried over: a new file must be worth it.
  return bytes_ > std::max(limits_.most_bytes, 2 * carried_bytes_);
}

Result<void> ActionJournal::start_anew(std::span<const ActionRecord> records,
                                       std::span<const Protection> allowed) {
  auto at = at_;
  const auto first = at.next_seq;
  auto text = checkpoint_line(at, records.size() + allowed.size());
  const auto carry = [&](const auto &all) -> Result<void> {
    for (const auto &one : all) {
      auto line = journal_line(at, one, "carried over");
      if (!line) {
        return tl::unexpected(line.error());
      }
      text += *line;
    }
    return {};
  };
  if (auto carried = carry(records); !carried) {
    return carried;
  }
  if (auto carried = carry(allowed); !carried) {
    return carried;
  }
  if (auto repaired = repair(); !repaired) {
    return repaired;
  }
  const auto path = in_folder(kNewFile);
  static_cast<void>(calls_->remove(path)); // of one that ended in the middle
  Fd file(calls_->open(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | kSafely, kOwnerOnly));
  if (!file) {
    return fail_errno("cannot begin a new journal in " + folder_);
  }
  if (auto written = write_synced(file.get(), text); !written) {
    static_cast<void>(calls_->remove(path));
    return written;
  }
  const auto old = in_folder(fmt::format("actions-{:020}.jsonl", first_seq_));
  static_cast<void>(calls_->remove(old)); // likewise
  if (calls_->link(in_folder(kFile), old) != 0 || calls_->rename(path, in_folder(kFile)) != 0) {
    auto failed = fail_errno("cannot begin a new journal in " + folder_);
    static_cast<void>(calls_->remove(path));
    return failed;
  }
  file_ = std::move(file);
  at_ = std::move(at);
  first_seq_ = first;
  bytes_ = carried_bytes_ = text.size();
  folder_dirty_ = true;
  forget_old_files();
  return repair();
}

void ActionJournal::set_aside(std::string_view torn) {
  const Fd file(
      calls_->open(in_folder(kTornFile), O_WRONLY | O_CREAT | O_TRUNC | kSafely, kOwnerOnly));
  if (file) {
    static_cast<void>(write_synced(file.get(), torn));
  }
}

void ActionJournal::forget_old_files() {
  const auto old = old_files(folder_);
  for (std::size_t i = 0; i + limits_.kept_files < old.size(); ++i) {
    static_cast<void>(calls_->remove(in_folder(old[i])));
  }
}

std::vector<std::string> journal_files(const std::string &folder) {
  auto files = old_files(folder);
  files.emplace_back(kFile);
  return files;
}

Result<JournalRead> check_journal(const std::string &path) {
  FileCalls calls;
  const Fd file(calls.open(path, O_RDONLY | kSafely, 0));
  if (!file) {
    return fail_errno("cannot open the journal " + path);
  }
  if (const auto good = check_file(calls, file.get(), path); !good) {
    return tl::unexpected(good.error());
  }
  const auto bytes = read_whole(calls, file.get(), path);
  return bytes ? read_named(*bytes, path) : Result<JournalRead>(tl::unexpected(bytes.error()));
}

} // namespace outguard::store
