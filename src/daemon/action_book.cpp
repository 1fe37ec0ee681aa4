#include "daemon/action_book.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/random.h>

#include "base/log.h"
#include "daemon/action_rules.h"
#include "store/sha256_text.h"

namespace outguard::daemon {

namespace {

std::int64_t now_ns() {
  return wall_now().time_since_epoch().count();
}

} // namespace

std::optional<MonotonicTime> due_by_expiry(const ActionRecord &record) {
  if (record.expires_ns == 0) {
    return std::nullopt;
  }
  std::chrono::nanoseconds left(record.expires_ns - now_ns());
  if (record.state == ActionState::Done) {
    left = std::min<std::chrono::nanoseconds>(left, record.wanted.ttl);
  }
  return monotonic_now() + std::max(left, std::chrono::nanoseconds(0));
}

Result<ActionBook> ActionBook::open(const std::string &folder, ActionLimits limits,
                                    store::JournalLimits journal_limits,
                                    std::shared_ptr<store::FileCalls> calls) {
  auto opened = store::ActionJournal::open(folder, journal_limits, std::move(calls));
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  return ActionBook(limits, std::move(*opened));
}

ActionBook::ActionBook(ActionLimits limits, store::ActionJournal::Opened opened)
    : limits_(limits), journal_(std::move(opened.journal)), told_(std::move(opened.told)) {
  for (auto &record : opened.records) {
    auto &entry = entries_[record.id];
    entry.order = next_order_++;
    if (is_moving(record.state)) {
      entry.due = monotonic_now();
    } else if (record.state == ActionState::Waiting || is_in_force(record)) {
      entry.due = due_by_expiry(record);
    }
    entry.record = std::move(record);
  }
  forget_ended();
}

ActionBook::~ActionBook() {
  if (journal_) {
    write_rest();
  }
}

Result<ActionEntry *> ActionBook::add(ActionRecord record, std::span<const ActionStep> steps) {
  if (entries_.size() >= limits_.most_records) {
    forget_ended();
  }
  if (entries_.size() >= limits_.most_records) {
    return fail(ErrorCode::LimitReached,
                fmt::format("{} actions are in force or wait: undo some", entries_.size()));
  }
  record.id = new_id();
  record.asked_ns = now_ns();
  record.plan_hash = store::plan_hash(record.wanted);
  if (record.id.empty() || record.plan_hash.empty()) {
    return fail(ErrorCode::SystemFailed, "no random number or hash could be had");
  }
  if (const auto written = write(record, steps); !written) {
    return tl::unexpected(written.error());
  }
  auto &entry = entries_[record.id];
  entry.order = next_order_++;
  entry.record = std::move(record);
  begin_file_if_large();
  return &entry;
}

Result<void> ActionBook::take(ActionEntry &entry, ActionRecord record,
                              std::span<const ActionStep> steps) {
  record.plan_hash = store::plan_hash(record.wanted);
  if (auto written = write(record, steps); !written) {
    return written;
  }
  entry.record = std::move(record);
  entry.unwritten = false;
  begin_file_if_large();
  return {};
}

void ActionBook::conclude(ActionEntry &entry, const ActionStep &step) {
  auto record = entry.record;
  const auto written = write(record, std::span(&step, 1));
  if (!written) {
    log::error("action " + entry.record.id + ": " + written.error().message);
    record.state = step.state;
    record.reason = step.reason;
    record.changed_ns = now_ns();
  }
  entry.record = std::move(record);
  entry.unwritten = !written;
  begin_file_if_large();
}

void ActionBook::write_rest() {
  for (auto &[id, entry] : entries_) {
    if (!entry.unwritten) {
      continue;
    }
    const store::JournalStep step{entry.record, kDeskActor};
    if (!journal_->append(std::span(&step, 1))) {
      return; // the next will not work either
    }
    entry.unwritten = false;
  }
}

Result<void> ActionBook::write(ActionRecord &record, std::span<const ActionStep> steps) {
  auto changed = record;
  std::vector<store::JournalStep> lines;
  for (const auto &step : steps) {
    changed.state = step.state;
    changed.reason = step.reason;
    changed.changed_ns = now_ns();
    lines.push_back({changed, step.actor});
  }
  if (auto written = journal_->append(lines); !written) {
    return written;
  }
  record = std::move(changed);
  return {};
}

void ActionBook::begin_file_if_large() {
  if (!journal_->is_large()) {
    return;
  }
  std::vector<ActionRecord> records = list();
  std::reverse(records.begin(), records.end());
  if (const auto begun = journal_->start_anew(records); !begun) {
    log::error(begun.error().message);
    return;
  }
  for (auto &[id, entry] : entries_) {
    entry.unwritten = false;
  }
}

void ActionBook::forget_ended() {
  if (entries_.size() < limits_.most_records) {
    return;
  }
  auto ended = where([](const ActionEntry &entry) {
    return !entry.unwritten && !entry.queued && !is_open(entry.record);
  });
  // A tenth at once, so that this is seldom done.
  const auto kept = limits_.most_records - limits_.most_records / 10 - 1;
  const auto surplus = entries_.size() - std::min(entries_.size(), kept);
  ended.resize(std::min(ended.size(), surplus));
  for (const auto *entry : ended) {
    entries_.erase(std::string(entry->record.id));
  }
}

ActionEntry *ActionBook::find(const std::string &id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

std::vector<ActionRecord> ActionBook::list() const {
  std::vector<const ActionEntry *> entries;
  for (const auto &[id, entry] : entries_) {
    entries.push_back(&entry);
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto *one, const auto *other) { return one->order > other->order; });
  std::vector<ActionRecord> records;
  records.reserve(entries.size());
  for (const auto *entry : entries) {
    records.push_back(entry->record);
  }
  return records;
}

std::vector<ActionEntry *>
ActionBook::where(const std::function<bool(const ActionEntry &)> &wanted) {
  std::vector<ActionEntry *> found;
  for (auto &[id, entry] : entries_) {
    if (wanted(entry)) {
      found.push_back(&entry);
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto *one, const auto *other) { return one->order < other->order; });
  return found;
}

std::string ActionBook::new_id() const {
  std::uint64_t bits = 0;
  do {
    if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
      return {};
    }
    auto id = fmt::format("a-{:012x}", bits & 0xFFFF'FFFF'FFFFULL);
    if (!entries_.contains(id)) {
      return id;
    }
  } while (true);
}

} // namespace outguard::daemon
