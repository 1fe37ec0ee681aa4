#include "daemon/action_desk.h"

#include "base/log.h"
#include "daemon/action_clock.h"
#include "daemon/action_rules.h"
#include "daemon/action_runner.h"
#include "daemon/action_workers.h"
#include "store/sha256_text.h"

namespace outguard::daemon {

namespace {

std::int64_t in_ns(std::chrono::seconds time) {
  return (wall_now() + time).time_since_epoch().count();
}

class Desk final : public ActionDesk {
public:
  Desk(ActionBook book, FindHands find_hands, ActionLimits limits)
      : find_hands_(std::move(find_hands)), limits_(limits), board_{{}, {}, std::move(book)},
        runner_(board_, find_hands_), workers_([this](const ActionJob &job) { runner_.run(job); }),
        clock_(board_, workers_) {}

  Result<ActionRecord> ask(ActionWanted wanted, ApprovalRule rule, bool dry_run) override;
  Result<ActionRecord> approve(const std::string &id, const std::string &plan_hash,
                               const std::string &actor) override;
  Result<ActionRecord> undo(const std::string &id, const std::string &actor) override;
  Result<ActionRecord> wait(const std::string &id, std::chrono::milliseconds time) override;
  std::vector<ActionRecord> list() const override;
  std::optional<ActionRecord> find(const std::string &id) const override;
  void take_vm(const std::string &vm) override;

private:
  // All under the board's mutex.
  [[nodiscard]] ActionEntry *same_under_way(const ActionRecord &asked, ApprovalRule rule);
  [[nodiscard]] ActionEntry *same_in_force(const ActionWanted &wanted);
  /// Why it is refused without asking anybody; empty: it is not.
  [[nodiscard]] std::string refusal(const ActionWanted &wanted, ApprovalRule rule, bool dry_run);
  [[nodiscard]] Result<ActionRecord> renew(ActionEntry &entry, ActionWanted wanted);
  [[nodiscard]] Result<ActionRecord> enter(ActionRecord record, std::span<const ActionStep> steps);
  [[nodiscard]] Result<ActionEntry *> known(const std::string &id);
  void begin(ActionEntry &entry, ActionJob::Kind kind) {
    entry.queued = false;
    ActionClock::queue(workers_, entry, kind);
    // Where no thread could be had the clock tries again.
    entry.due = entry.queued ? std::nullopt : std::optional(monotonic_now());
    board_.changed.notify_all();
  }

  const FindHands find_hands_;
  const ActionLimits limits_;
  mutable ActionBoard board_;
  ActionRunner runner_;
  ActionWorkers workers_;
  ActionClock clock_; ///< last: it uses all above
};

Result<ActionRecord> Desk::ask(ActionWanted asked, ApprovalRule rule, bool dry_run) {
  auto wanted = tidy(std::move(asked));
  if (!wanted) {
    return tl::unexpected(wanted.error());
  }
  const bool guarded = find_hands_(wanted->vm) != nullptr;
  ActionRecord record;
  record.wanted = std::move(*wanted);
  record.plan_hash = store::plan_hash(record.wanted);
  record.status = dry_run ? ResponseStatus::DryRun : ResponseStatus::Pending;
  const auto actor = record.wanted.actor;

  const std::lock_guard lock(board_.mutex);
  if (const auto *same = same_under_way(record, rule)) {
    return same->record;
  }
  auto why_not = refusal(record.wanted, rule, dry_run);
  if (why_not.empty() && !guarded) {
    why_not = "the VM is not guarded (now)";
  }
  if (!why_not.empty()) {
    record.status = ResponseStatus::Refused;
    const ActionStep steps[] = {{ActionState::Asked, actor},
                                {ActionState::Refused, kDeskActor, why_not}};
    return enter(std::move(record), steps);
  }
  if (rule == ApprovalRule::Approve && !dry_run) {
    record.status = ResponseStatus::Waiting;
    record.expires_ns = in_ns(limits_.approval_time);
    const ActionStep steps[] = {{ActionState::Asked, actor}, {ActionState::Waiting, kDeskActor}};
    return enter(std::move(record), steps);
  }
  if (auto *same = dry_run ? nullptr : same_in_force(record.wanted)) {
    return renew(*same, std::move(record.wanted));
  }
  if (record.wanted.ttl.count() > 0 && !dry_run) {
    record.expires_ns = in_ns(record.wanted.ttl);
  }
  // One sync for both steps: containment waits for it.
  const ActionStep steps[] = {{ActionState::Asked, actor}, {ActionState::Acting, kDeskActor}};
  return enter(std::move(record), steps);
}

Result<ActionRecord> Desk::enter(ActionRecord record, std::span<const ActionStep> steps) {
  auto entry = board_.book.add(std::move(record), steps);
  if (!entry) {
    return tl::unexpected(entry.error());
  }
  if ((*entry)->record.state == ActionState::Waiting) {
    (*entry)->due = monotonic_now() + limits_.approval_time;
  } else if ((*entry)->record.state == ActionState::Acting) {
    begin(**entry, ActionJob::Kind::Act);
  }
  return (*entry)->record;
}

Result<ActionRecord> Desk::renew(ActionEntry &entry, ActionWanted wanted) {
  auto record = entry.record;
  const ActionStep steps[] = {{ActionState::Asked, wanted.actor, "asked for again"},
                              {ActionState::Acting, kDeskActor}};
  record.wanted = std::move(wanted);
  record.status = ResponseStatus::Pending;
  record.expires_ns = record.wanted.ttl.count() > 0 ? in_ns(record.wanted.ttl) : 0;
  auto before = entry.record;
  if (const auto taken = board_.book.take(entry, std::move(record), steps); !taken) {
    return tl::unexpected(taken.error());
  }
  entry.before = std::move(before);
  begin(entry, ActionJob::Kind::Act);
  return entry.record;
}

std::string Desk::refusal(const ActionWanted &wanted, ApprovalRule rule, bool dry_run) {
  if (rule == ApprovalRule::Never) {
    return "not allowed: the approval rule of " + std::string(to_string(wanted.action)) +
           " is never";
  }
  if (!workers_.has_room(wanted.vm)) {
    return "too many actions of this VM wait already";
  }
  if (!by_policy(wanted) || dry_run) {
    return {};
  }
  const auto earliest = in_ns(-limits_.cool_down);
  const auto undone = board_.book.where([&](const ActionEntry &entry) {
    const auto state = entry.record.state;
    return (state == ActionState::Undoing ||
            (state == ActionState::Undone && entry.record.changed_ns > earliest)) &&
           same_target(entry.record.wanted, wanted);
  });
  return undone.empty() ? "" : "cool-down: " + undone.back()->record.id + " was undone";
}

ActionEntry *Desk::same_under_way(const ActionRecord &asked, ApprovalRule rule) {
  const bool dry = asked.status == ResponseStatus::DryRun;
  const auto same = board_.book.where([&](const ActionEntry &entry) {
    const auto state = entry.record.state;
    const bool waits = state == ActionState::Waiting && rule == ApprovalRule::Approve;
    return (waits || (is_moving(state) && state != ActionState::Undoing)) &&
           entry.record.plan_hash == asked.plan_hash &&
           (entry.record.status == ResponseStatus::DryRun) == dry;
  });
  return same.empty() ? nullptr : same.back();
}

ActionEntry *Desk::same_in_force(const ActionWanted &wanted) {
  const auto same = board_.book.where([&](const ActionEntry &entry) {
    return is_in_force(entry.record) && !entry.queued && same_target(entry.record.wanted, wanted);
  });
  return same.empty() ? nullptr : same.back();
}

Result<ActionEntry *> Desk::known(const std::string &id) {
  auto *entry = board_.book.find(id);
  return entry != nullptr ? Result<ActionEntry *>(entry)
                          : fail(ErrorCode::NotFound, "no such action");
}

Result<ActionRecord> Desk::approve(const std::string &id, const std::string &plan_hash,
                                   const std::string &actor) {
  const std::lock_guard lock(board_.mutex);
  const auto found = known(id);
  if (!found) {
    return tl::unexpected(found.error());
  }
  auto &entry = **found;
  auto record = entry.record;
  if (record.state != ActionState::Waiting) {
    return fail(ErrorCode::Refused,
                id + " is " + to_string(record.state) + ": it waits for no approval");
  }
  if (record.plan_hash != plan_hash) {
    return fail(ErrorCode::Refused, "the approval is for another plan: look at " + id + " again");
  }
  if (record.expires_ns <= in_ns({})) {
    return fail(ErrorCode::Refused, "nobody approved " + id + " in time: ask again");
  }
  if (!workers_.has_room(record.wanted.vm)) {
    return fail(ErrorCode::LimitReached, "too many actions of this VM wait already");
  }
  record.status = ResponseStatus::Pending;
  record.expires_ns = record.wanted.ttl.count() > 0 ? in_ns(record.wanted.ttl) : 0;
  const ActionStep steps[] = {{ActionState::Approved, actor, "by " + actor},
                              {ActionState::Acting, kDeskActor, "approved by " + actor}};
  if (const auto taken = board_.book.take(entry, std::move(record), steps); !taken) {
    return tl::unexpected(taken.error());
  }
  begin(entry, ActionJob::Kind::Act);
  return entry.record;
}

Result<ActionRecord> Desk::undo(const std::string &id, const std::string &actor) {
  const std::lock_guard lock(board_.mutex);
  const auto found = known(id);
  if (!found) {
    return tl::unexpected(found.error());
  }
  auto &entry = **found;
  const auto &record = entry.record;
  if (record.state == ActionState::Waiting) {
    auto withdrawn = record;
    withdrawn.status = ResponseStatus::Refused;
    withdrawn.expires_ns = 0;
    const ActionStep step{ActionState::Refused, actor, "withdrawn by " + actor};
    const auto taken = board_.book.take(entry, std::move(withdrawn), std::span(&step, 1));
    if (!taken) {
      return tl::unexpected(taken.error());
    }
    entry.due.reset();
    board_.changed.notify_all();
    return entry.record;
  }
  if (record.state != ActionState::Done || record.status == ResponseStatus::DryRun) {
    return fail(ErrorCode::Refused, "nothing of " + id + " is in force: " +
                                        (record.status == ResponseStatus::DryRun
                                             ? "it is a dry run"
                                             : std::string("it is ") + to_string(record.state)));
  }
  if (!is_lasting(record.wanted.action)) {
    return fail(ErrorCode::Unsupported,
                std::string(to_string(record.wanted.action)) + " cannot be undone");
  }
  const ActionStep step{ActionState::Undoing, actor, "undone by " + actor};
  if (const auto taken = board_.book.take(entry, record, std::span(&step, 1)); !taken) {
    return tl::unexpected(taken.error());
  }
  entry.by_time = false;
  begin(entry, ActionJob::Kind::Undo);
  return entry.record;
}

Result<ActionRecord> Desk::wait(const std::string &id, std::chrono::milliseconds time) {
  std::unique_lock lock(board_.mutex);
  std::optional<ActionRecord> latest; // it may be forgotten meanwhile
  board_.changed.wait_for(lock, time, [&] {
    const auto *entry = board_.book.find(id);
    if (entry != nullptr) {
      latest = entry->record;
    }
    return entry == nullptr || !is_moving(entry->record.state);
  });
  return latest ? Result<ActionRecord>(std::move(*latest))
                : fail(ErrorCode::NotFound, "no such action");
}

std::vector<ActionRecord> Desk::list() const {
  const std::lock_guard lock(board_.mutex);
  return board_.book.list();
}

std::optional<ActionRecord> Desk::find(const std::string &id) const {
  const std::lock_guard lock(board_.mutex);
  const auto *entry = board_.book.find(id);
  return entry == nullptr ? std::nullopt : std::optional(entry->record);
}

void Desk::take_vm(const std::string &vm) {
  const std::lock_guard lock(board_.mutex);
  const auto entries = board_.book.where([&](const ActionEntry &entry) {
    const auto state = entry.record.state;
    return entry.record.wanted.vm == vm &&
           (state == ActionState::Acting || state == ActionState::Undoing ||
            is_in_force(entry.record));
  });
  for (auto *entry : entries) {
    entry->since.reset();
    // What is under way comes first: it may end what is in force.
    ActionClock::queue(workers_, *entry,
                       is_moving(entry->record.state) ? ActionJob::Kind::Look
                                                      : ActionJob::Kind::Check);
  }
}

} // namespace

Result<std::unique_ptr<ActionDesk>> ActionDesk::open(const std::string &folder,
                                                     FindHands find_hands, ActionLimits limits,
                                                     std::shared_ptr<store::FileCalls> calls) {
  auto book = ActionBook::open(folder, limits, {}, std::move(calls));
  if (!book) {
    return tl::unexpected(book.error());
  }
  if (!book->told().empty()) {
    log::warning(book->told());
  }
  return std::make_unique<Desk>(std::move(*book), std::move(find_hands), limits);
}

} // namespace outguard::daemon
