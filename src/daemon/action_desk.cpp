#include "daemon/action_desk.h"

#include "base/log.h"
#include "daemon/action_clock.h"
#include "daemon/action_rules.h"
#include "daemon/action_runner.h"
#include "daemon/action_workers.h"
#include "daemon/finding_actions.h"
#include "respond/guard.h"
#include "store/sha256_text.h"

namespace outguard::daemon {

namespace {

/// What follows a block does not wait longer for it.
constexpr std::chrono::seconds kMostContaining{2};

std::int64_t in_ns(std::chrono::seconds time) {
  return (wall_now() + time).time_since_epoch().count();
}

class Desk final : public ActionDesk {
public:
  Desk(ActionBook book, FindHands find_hands, const ActionLimits &limits, OnBreaker on_breaker)
      : find_hands_(std::move(find_hands)), on_breaker_(std::move(on_breaker)),
        limits_(limits), board_{{},
                                {},
                                std::move(book),
                                ActionBudgets(limits.budgets, limits.breaker_rest)},
        runner_(board_, find_hands_, on_breaker_),
        workers_([this](const ActionJob &job) { run(job); }), clock_(board_, workers_) {}

  std::vector<Result<ActionRecord>> ask_together(std::vector<ActionAsked> asked,
                                                 const Told &told) override;
  Result<ActionRecord> approve(const std::string &id, const std::string &plan_hash,
                               const std::string &actor) override;
  Result<ActionRecord> undo(const std::string &id, const std::string &actor) override;
  Result<ActionRecord> wait(const std::string &id, std::chrono::milliseconds time) override;
  std::vector<ActionRecord> list() const override;
  std::optional<ActionRecord> find(const std::string &id) const override;
  void take_vm(const std::string &vm) override;
  void close_breakers() override;
  Result<Protection> allow(Protection entry, std::chrono::seconds ttl) override;
  Result<Protection> disallow(const std::string &id, const std::string &actor) override;
  std::shared_ptr<const respond::Protections> protections() const override {
    return board_.book.protections();
  }

private:
  /// What asking leads to: `same` is there already, or `change` is to be entered.
  struct Intake {
    ActionEntry *same = nullptr;
    ActionChange change;
  };
  /// On a worker: the job, then whom it concerns and what waited for it.
  void run(const ActionJob &job);

  void let_allowed_through(ActionWanted &wanted) const;
  // All under the board's mutex.
  [[nodiscard]] Intake intake(ActionAsked asked, bool guarded);
  [[nodiscard]] ActionEntry *same_under_way(const ActionRecord &asked, ApprovalRule rule);
  [[nodiscard]] ActionEntry *same_in_force(const ActionWanted &wanted);
  /// Why it is refused without asking anybody; empty: it is not.
  [[nodiscard]] std::string refusal(const ActionWanted &wanted, ApprovalRule rule, bool dry_run);
  [[nodiscard]] std::string refusal_of_policy(const ActionWanted &wanted);
  /// Where the journal cannot take all, blocks by policy alone; an entry or error for each.
  [[nodiscard]] std::vector<Result<ActionEntry *>> enter(const std::vector<ActionChange> &changes);
  void start(const std::vector<ActionEntry *> &entered);
  [[nodiscard]] Result<ActionEntry *> known(const std::string &id);
  void begin(ActionEntry &entry, ActionJob::Kind kind) {
    entry.queued = false;
    ActionClock::queue(workers_, entry, kind);
    // Where no thread could be had the clock tries again.
    entry.due = entry.queued ? std::nullopt : std::optional(monotonic_now());
    board_.changed.notify_all();
  }

  const FindHands find_hands_;
  const OnBreaker on_breaker_;
  const ActionLimits limits_;
  mutable ActionBoard board_;
  ActionRunner runner_;
  ActionWorkers workers_;
  ActionClock clock_; ///< last: it uses all above
};

std::vector<Result<ActionRecord>> Desk::ask_together(std::vector<ActionAsked> asked,
                                                     const Told &told) {
  std::vector<Result<ActionRecord>> answers;
  std::vector<ActionChange> changes;
  std::vector<std::size_t> places; // of the changes among the answers
  const auto watch = [&](ActionEntry &entry) {
    if (told && entry.record.state == ActionState::Acting) {
      entry.told.push_back(told);
    }
    return entry.record;
  };
  std::vector<bool> guarded;
  for (auto &one : asked) { // not under our mutex
    let_allowed_through(one.wanted);
    guarded.push_back(find_hands_(one.wanted.vm) != nullptr);
  }
  const std::lock_guard lock(board_.mutex);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    auto wanted = tidy(std::move(asked[i].wanted));
    if (!wanted) {
      answers.emplace_back(tl::unexpected(wanted.error()));
      continue;
    }
    asked[i].wanted = std::move(*wanted);
    auto taken = intake(std::move(asked[i]), guarded[i]);
    if (taken.same != nullptr) {
      answers.emplace_back(watch(*taken.same));
      continue;
    }
    const auto &record = taken.change.record;
    answers.emplace_back(taken.change.entry != nullptr ? taken.change.entry->record : record);
    const bool is_refused = taken.change.steps.back().state == ActionState::Refused;
    if (is_refused && by_policy(record.wanted)) { // a guest could fill the journal with these
      answers.back()->state = ActionState::Refused;
      answers.back()->reason = taken.change.steps.back().reason;
      continue;
    }
    places.push_back(answers.size() - 1);
    changes.push_back(std::move(taken.change));
  }
  const auto entered = enter(changes);
  std::vector<ActionEntry *> begun;
  for (std::size_t i = 0; i < entered.size(); ++i) {
    answers[places[i]] = entered[i].map([&](ActionEntry *entry) {
      if (changes[i].entry != nullptr) { // renewed
        entry->before = answers[places[i]].value();
      }
      begun.push_back(entry);
      return watch(*entry);
    });
  }
  start(begun);
  return answers;
}

void Desk::let_allowed_through(ActionWanted &wanted) const {
  auto *rule = wanted.rule ? std::get_if<IsolationRule>(&*wanted.rule) : nullptr;
  if (rule == nullptr) {
    return;
  }
  std::vector<IpNetwork> remotes;
  for (const auto &entry : protections()->of(wanted.vm)) {
    if (entry.remote) {
      remotes.push_back(*entry.remote);
    }
  }
  *rule = isolation_of(std::move(*rule), remotes);
}

Desk::Intake Desk::intake(ActionAsked asked, bool guarded) {
  Intake intake;
  auto &record = intake.change.record;
  auto &steps = intake.change.steps;
  record.wanted = std::move(asked.wanted);
  record.plan_hash = store::plan_hash(record.wanted);
  record.status = asked.dry_run ? ResponseStatus::DryRun : ResponseStatus::Pending;
  const auto actor = record.wanted.actor;
  if ((intake.same = same_under_way(record, asked.rule)) != nullptr) {
    return intake;
  }
  auto why_not = refusal(record.wanted, asked.rule, asked.dry_run);
  if (why_not.empty() && !guarded) {
    why_not = "the VM is not guarded (now)";
  }
  if (!why_not.empty()) {
    record.status = ResponseStatus::Refused;
    steps = {{ActionState::Asked, actor}, {ActionState::Refused, kDeskActor, why_not}};
    return intake;
  }
  if (asked.rule == ApprovalRule::Approve && !asked.dry_run) {
    record.status = ResponseStatus::Waiting;
    record.expires_ns = in_ns(limits_.approval_time);
    steps = {{ActionState::Asked, actor}, {ActionState::Waiting, kDeskActor}};
    return intake;
  }
  if (auto *same = asked.dry_run ? nullptr : same_in_force(record.wanted)) {
    auto renewed = same->record;
    renewed.wanted = std::move(record.wanted);
    renewed.status = ResponseStatus::Pending;
    record = std::move(renewed);
    intake.change.entry = same;
    steps = {{ActionState::Asked, actor, "asked for again"}, {ActionState::Acting, kDeskActor}};
  } else {
    steps = {{ActionState::Asked, actor}, {ActionState::Acting, kDeskActor}};
  }
  record.expires_ns =
      record.wanted.ttl.count() > 0 && !asked.dry_run ? in_ns(record.wanted.ttl) : 0;
  return intake;
}

std::vector<Result<ActionEntry *>> Desk::enter(const std::vector<ActionChange> &changes) {
  std::vector<Result<ActionEntry *>> answers;
  if (changes.empty()) {
    return answers;
  }
  const auto entered = board_.book.enter(changes);
  if (entered) {
    answers.assign(entered->begin(), entered->end());
    return answers;
  }
  answers.assign(changes.size(), tl::unexpected(entered.error()));
  if (entered.error().code == ErrorCode::LimitReached) {
    return answers;
  }
  log::error("the journal of actions takes nothing; blocks by policy go on, all else is refused: " +
             entered.error().message);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto &record = changes[i].record;
    if (by_policy(record.wanted) && contains(record.wanted.action) &&
        changes[i].steps.back().state == ActionState::Acting) {
      answers[i] = board_.book.enter({changes[i]}, Unjournaled::Begin).map([](const auto &added) {
        return added.front();
      });
    }
  }
  return answers;
}

/// Blocks first; what else there is at once, but for the VM's memory, which follows the last block.
void Desk::start(const std::vector<ActionEntry *> &entered) {
  ActionEntry *contained = nullptr;
  for (auto *entry : entered) {
    if (entry->record.state == ActionState::Acting && contains(entry->record.wanted.action)) {
      contained = entry;
      begin(*entry, ActionJob::Kind::Act);
    }
  }
  for (auto *entry : entered) {
    const auto &record = entry->record;
    if (record.state == ActionState::Waiting) {
      entry->due = monotonic_now() + limits_.approval_time;
    } else if (record.state != ActionState::Acting || contains(record.wanted.action)) {
      continue;
    } else if (contained == nullptr ||
               lane_of(record.wanted) == lane_of(contained->record.wanted)) {
      begin(*entry, ActionJob::Kind::Act);
    } else {
      contained->next.push_back(record.id);
      entry->due = monotonic_now() + kMostContaining;
    }
  }
}

void Desk::run(const ActionJob &job) {
  runner_.run(job);
  std::vector<Told> told;
  ActionRecord record;
  {
    const std::lock_guard lock(board_.mutex);
    auto *entry = board_.book.find(job.id);
    if (entry == nullptr) {
      return;
    }
    entry->queued = false;
    record = entry->record;
    told = entry->told;
    if (!is_moving(record.state)) {
      entry->told.clear();
    }
    for (const auto &id : std::exchange(entry->next, {})) {
      auto *follower = board_.book.find(id);
      if (follower != nullptr && follower->record.state == ActionState::Acting &&
          !follower->begun && !follower->queued) {
        begin(*follower, ActionJob::Kind::Act);
      }
    }
  }
  board_.changed.notify_all();
  for (const auto &tell : told) {
    tell(record);
  }
}

std::string Desk::refusal(const ActionWanted &wanted, ApprovalRule rule, bool dry_run) {
  if (rule == ApprovalRule::Never) {
    return "not allowed: the approval rule of " + std::string(to_string(wanted.action)) +
           " is never";
  }
  if (!workers_.has_room(lane_of(wanted))) {
    return "too many actions of this VM wait already";
  }
  if (!by_policy(wanted)) {
    return {};
  }
  if (wanted.match &&
      (wanted.action == ResponseAction::Kill || wanted.action == ResponseAction::Suspend)) {
    if (const auto certain = respond::check_match(*wanted.match); !certain) {
      return certain.error().message;
    }
  }
  if (auto why = board_.budgets.refusal(wanted); !why.empty()) {
    return why;
  }
  return dry_run ? std::string() : refusal_of_policy(wanted);
}

/// After an undo the same is not done again at once; and one guest's flows do not use up all
/// records.
std::string Desk::refusal_of_policy(const ActionWanted &wanted) {
  // A clock that was set back makes none of it longer than twice that.
  const auto earliest = in_ns(-limits_.cool_down);
  const auto latest = in_ns(limits_.cool_down);
  std::string why;
  std::size_t open = 0;
  bool renews = false;
  static_cast<void>(board_.book.where([&](const ActionEntry &entry) {
    const auto state = entry.record.state;
    if (entry.record.wanted.vm != wanted.vm) {
      return false;
    }
    open += by_policy(entry.record.wanted) && is_open(entry.record) ? 1U : 0U;
    const bool same = same_target(entry.record.wanted, wanted);
    renews = renews || (same && is_in_force(entry.record));
    if (same && (state == ActionState::Undoing ||
                 (state == ActionState::Undone && entry.record.changed_ns > earliest &&
                  entry.record.changed_ns < latest))) {
      why = "cool-down: " + entry.record.id + " was undone";
    }
    return false;
  }));
  if (why.empty() && !renews && open >= limits_.most_of_policies) {
    why = "policies have " + std::to_string(open) + " actions in force in this VM already";
  }
  return why;
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
  if (!workers_.has_room(lane_of(record.wanted))) {
    return fail(ErrorCode::LimitReached, "too many actions of this VM wait already");
  }
  record.status = ResponseStatus::Pending;
  record.expires_ns = record.wanted.ttl.count() > 0 ? in_ns(record.wanted.ttl) : 0;
  const auto taken = board_.book.take(entry, std::move(record),
                                      {{ActionState::Approved, actor, "by " + actor},
                                       {ActionState::Acting, kDeskActor, "approved by " + actor}});
  if (!taken) {
    return tl::unexpected(taken.error());
  }
  entry.approved = true;
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
    const auto taken = board_.book.take(entry, std::move(withdrawn),
                                        {{ActionState::Refused, actor, "withdrawn by " + actor}});
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
  const auto taken =
      board_.book.take(entry, record, {{ActionState::Undoing, actor, "undone by " + actor}});
  if (!taken) {
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

void Desk::close_breakers() {
  const std::lock_guard lock(board_.mutex);
  board_.budgets.close_breakers();
}

Result<Protection> Desk::allow(Protection entry, std::chrono::seconds ttl) {
  auto tidied = tidy(std::move(entry), ttl);
  if (!tidied) {
    return tidied;
  }
  const std::lock_guard lock(board_.mutex);
  tidied->added_ns = in_ns({});
  tidied->expires_ns =
      ttl.count() == 0 ? 0 : tidied->added_ns + std::chrono::nanoseconds(ttl).count();
  return board_.book.allow(std::move(*tidied));
}

Result<Protection> Desk::disallow(const std::string &id, const std::string &actor) {
  const std::lock_guard lock(board_.mutex);
  return board_.book.disallow(id, actor);
}

} // namespace

const char *to_string(ApprovalRule rule) {
  switch (rule) {
  case ApprovalRule::Auto:
    return "auto";
  case ApprovalRule::Approve:
    return "approve";
  case ApprovalRule::Never:
    return "never";
  }
  return "unknown";
}

Result<ActionRecord> ActionDesk::ask(ActionWanted wanted, ApprovalRule rule, bool dry_run) {
  std::vector<ActionAsked> one;
  one.push_back({std::move(wanted), rule, dry_run});
  return std::move(ask_together(std::move(one), {}).front());
}

Result<std::unique_ptr<ActionDesk>> ActionDesk::open(const std::string &folder,
                                                     FindHands find_hands, ActionLimits limits,
                                                     std::shared_ptr<store::FileCalls> calls,
                                                     OnBreaker on_breaker) {
  auto book = ActionBook::open(folder, limits, {}, std::move(calls));
  if (!book) {
    return tl::unexpected(book.error());
  }
  if (!book->told().empty()) {
    log::warning(book->told());
  }
  return std::make_unique<Desk>(std::move(*book), std::move(find_hands), limits,
                                std::move(on_breaker));
}

} // namespace outguard::daemon
