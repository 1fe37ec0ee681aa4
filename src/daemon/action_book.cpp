#include "daemon/action_book.h"

#include <algorithm>
#include <iterator>

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
      // Nobody saw it end, and the clock may have been set: it is taken away, if it is there.
      entry.by_time =
          is_in_force(record) && record.expires_ns != 0 && record.expires_ns <= now_ns();
    }
    entry.record = std::move(record);
    sort_in(entry);
  }
  for (const auto &entry : opened.allowed) {
    allowed_->add(entry);
  }
  end_what_was_replaced();
  if (entries_.size() >= limits_.most_records) {
    forget_ended();
  }
}

ActionBook::~ActionBook() {
  if (journal_) {
    write_rest();
  }
}

Result<std::vector<ActionEntry *>> ActionBook::enter(std::vector<ActionChange> changes,
                                                     Unjournaled how) {
  const auto added = static_cast<std::size_t>(std::count_if(
      changes.begin(), changes.end(), [](const auto &change) { return change.entry == nullptr; }));
  if (entries_.size() + added > limits_.most_records) {
    forget_ended();
  }
  if (entries_.size() + added > limits_.most_records) {
    return fail(ErrorCode::LimitReached,
                fmt::format("{} actions are in force or wait: undo some", entries_.size()));
  }
  std::vector<store::JournalStep> lines;
  for (auto &change : changes) {
    auto &record = change.record;
    if (change.entry == nullptr) {
      record.id = new_id();
      record.asked_ns = now_ns();
    }
    record.plan_hash = store::plan_hash(record.wanted);
    if (record.id.empty() || record.plan_hash.empty()) {
      return fail(ErrorCode::SystemFailed, "no random number or hash could be had");
    }
    auto steps = steps_of(record, change.steps);
    std::move(steps.begin(), steps.end(), std::back_inserter(lines));
  }
  const auto written = journal_->append(lines);
  if (!written && how == Unjournaled::Refuse) {
    return tl::unexpected(written.error());
  }
  std::vector<ActionEntry *> entered;
  for (auto &change : changes) {
    auto &entry = change.entry != nullptr ? *change.entry : entries_[change.record.id];
    if (change.entry == nullptr) {
      entry.order = next_order_++;
    }
    entry.record = std::move(change.record);
    entry.unwritten = !written;
    sort_in(entry);
    entered.push_back(&entry);
  }
  begin_file_if_large();
  return entered;
}

Result<ActionEntry *> ActionBook::take(ActionEntry &entry, ActionRecord record,
                                       std::vector<ActionStep> steps) {
  std::vector<ActionChange> changes;
  changes.push_back({&entry, std::move(record), std::move(steps)});
  return enter(std::move(changes)).map([](const auto &entered) { return entered.front(); });
}

void ActionBook::conclude(ActionEntry &entry, const ActionStep &step) {
  const auto lines = steps_of(entry.record, std::span(&step, 1));
  const auto written = journal_->append(lines);
  if (!written) {
    log::error("action " + entry.record.id + ": " + written.error().message);
  }
  entry.unwritten = !written;
  sort_in(entry);
  begin_file_if_large();
}

void ActionBook::sort_in(ActionEntry &entry) {
  if (is_open(entry.record) || entry.record.state == ActionState::Undone) {
    live_[entry.order] = &entry;
  } else {
    live_.erase(entry.order);
  }
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

/// Leaves the record as it is after the last.
std::vector<store::JournalStep> ActionBook::steps_of(ActionRecord &record,
                                                     std::span<const ActionStep> steps) {
  std::vector<store::JournalStep> lines;
  for (const auto &step : steps) {
    record.state = step.state;
    record.reason = step.reason;
    record.changed_ns = now_ns();
    lines.push_back({record, step.actor});
  }
  return lines;
}

/// A supervisor that ended after it had kept that an action holds, and before it kept what that one
/// ended: of what is in each other's place the latest is in force.
void ActionBook::end_what_was_replaced() {
  std::map<std::string, ActionEntry *> latest; // by what is done to what
  for (auto &[id, entry] : entries_) {
    if (!is_in_force(entry.record)) {
      continue;
    }
    auto target = entry.record.wanted;
    target.ttl = {};
    if (target.action == ResponseAction::Isolate) { // whatever it lets through
      target.rule.reset();
    }
    const auto [there, is_first] = latest.try_emplace(store::plan_hash(target), &entry);
    if (is_first) {
      continue;
    }
    auto *older = &entry;
    if (older->record.changed_ns > there->second->record.changed_ns) {
      std::swap(older, there->second);
    }
    older->record.state = ActionState::Expired;
    older->record.status = ResponseStatus::Undone;
    older->record.reason = "in place of it: " + there->second->record.id;
    older->record.changed_ns = now_ns();
    older->due.reset();
    older->unwritten = true;
    sort_in(*older);
  }
}

void ActionBook::begin_file_if_large() {
  if (!journal_->is_large()) {
    return;
  }
  std::vector<ActionRecord> records = list();
  std::reverse(records.begin(), records.end());
  if (const auto begun = journal_->start_anew(records, allowed_->all()); !begun) {
    log::error(begun.error().message);
    return;
  }
  for (auto &[id, entry] : entries_) {
    entry.unwritten = false;
  }
}

void ActionBook::forget_ended() {
  std::vector<const ActionEntry *> ended;
  for (const auto &[id, entry] : entries_) {
    if (!entry.unwritten && !entry.queued && !is_open(entry.record)) {
      ended.push_back(&entry);
    }
  }
  std::sort(ended.begin(), ended.end(),
            [](const auto *one, const auto *other) { return one->order < other->order; });
  // A tenth at once, so that this is seldom done.
  const auto kept = limits_.most_records - limits_.most_records / 10 - 1;
  const auto surplus = entries_.size() - std::min(entries_.size(), kept);
  ended.resize(std::min(ended.size(), surplus));
  for (const auto *entry : ended) {
    live_.erase(entry->order);
    entries_.erase(std::string(entry->record.id));
  }
}

Result<Protection> ActionBook::allow(Protection entry) {
  if (allowed_->all().size() >= kMostProtections) {
    return fail(
        ErrorCode::LimitReached,
        fmt::format("{} things are protected by hand already: remove some", kMostProtections));
  }
  entry.id = random_id("p-");
  const auto written = journal_->append(entry, entry.actor);
  if (!written) {
    return tl::unexpected(written.error());
  }
  allowed_->add(entry);
  begin_file_if_large();
  return entry;
}

Result<Protection> ActionBook::disallow(const std::string &id, const std::string &actor) {
  const auto all = allowed_->all();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Protection &one) { return one.id == id; });
  if (found == all.end()) {
    return fail(ErrorCode::NotFound, "nothing that is protected is called so");
  }
  auto entry = *found;
  entry.removed = true;
  if (const auto written = journal_->append(entry, actor); !written) {
    return tl::unexpected(written.error());
  }
  allowed_->remove(id);
  begin_file_if_large();
  return entry;
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
  for (const auto &[order, entry] : live_) {
    if (wanted(*entry)) {
      found.push_back(entry);
    }
  }
  return found;
}

std::string ActionBook::new_id() const {
  std::string id;
  do {
    id = random_id("a-");
  } while (!id.empty() && entries_.contains(id));
  return id;
}

std::string ActionBook::random_id(const char *prefix) {
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
    return {};
  }
  return fmt::format("{}{:012x}", prefix, bits & 0xFFFF'FFFF'FFFFULL);
}

} // namespace outguard::daemon
