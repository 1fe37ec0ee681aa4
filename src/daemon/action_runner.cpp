#include "daemon/action_runner.h"

#include "base/log.h"
#include "daemon/action_rules.h"
#include "facts/guest_text.h"

namespace outguard::daemon {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::chrono::milliseconds kWatch{250}; ///< between looks at what is pending
constexpr minutes kWatchMost{10}; ///< an uninterruptible sleep that lasts longer is told as failed
constexpr seconds kAgain{5};      ///< between tries to look or to undo
constexpr minutes kLookMost{1};
constexpr minutes kUnguarded{1}; ///< between looks whether a VM is guarded again
constexpr hours kUnguardedMost{24};

std::int64_t now_ns() {
  return wall_now().time_since_epoch().count();
}

bool is_past(std::int64_t expires_ns) {
  return expires_ns != 0 && expires_ns <= now_ns();
}

/// What is left, rounded up: at least a second.
seconds left_of(const ActionRecord &record) {
  const std::chrono::nanoseconds left(record.expires_ns - now_ns());
  return std::min(std::max(seconds(1), std::chrono::ceil<seconds>(left)), record.wanted.ttl);
}

/// For whoever carries it out, and names what comes of it.
ActionWanted with_id(const ActionRecord &record) {
  auto wanted = record.wanted;
  wanted.id = record.id;
  return wanted;
}

} // namespace

void ActionRunner::run(const ActionJob &job) {
  ActionRecord record;
  {
    const std::lock_guard lock(board_.mutex);
    const auto *entry = board_.book.find(job.id);
    if (entry == nullptr) {
      return;
    }
    record = entry->record;
  }
  const auto hands = find_hands_(record.wanted.vm);
  if (!hands) {
    unguarded(record);
  } else if (job.kind == ActionJob::Kind::Act && record.state == ActionState::Acting) {
    act(*hands, record, record.wanted.ttl, Budget::Take);
  } else if (record.state == ActionState::Undoing) {
    undo(*hands, record);
  } else if (job.kind != ActionJob::Kind::Undo) {
    look(*hands, record);
  }
}

namespace {

/// What it says of an action that it cannot be begun.
ResponseStatus status_of(ErrorCode code) {
  switch (code) {
  case ErrorCode::Refused:
    return ResponseStatus::Refused;
  case ErrorCode::NotFound:
  case ErrorCode::Unsupported:
    return ResponseStatus::NotPossible;
  default:
    return ResponseStatus::Failed;
  }
}

} // namespace

void ActionRunner::act(ActionHands &hands, const ActionRecord &record, seconds ttl, Budget budget) {
  const bool dry = record.status == ResponseStatus::DryRun;
  {
    const std::lock_guard lock(board_.mutex);
    if (auto *entry = board_.book.find(record.id)) {
      entry->begun = true;
    }
  }
  auto wanted = with_id(record);
  wanted.ttl = ttl;
  auto allowed = hands.allow(wanted);
  if (allowed && budget == Budget::Take) { // what is refused anyway costs nothing
    allowed = take_budget(record);
  }
  if (!allowed) {
    return finish(record, {wanted.action, status_of(allowed.error().code), allowed.error().message},
                  ttl);
  }
  finish(record, hands.act(wanted, dry), ttl);
}

Result<void> ActionRunner::take_budget(const ActionRecord &record) {
  std::optional<BreakerOpened> opened;
  {
    const std::lock_guard lock(board_.mutex);
    const auto *entry = board_.book.find(record.id);
    if (!by_policy(record.wanted) || (entry != nullptr && entry->approved)) {
      return {};
    }
    if (auto why = board_.budgets.refusal(record.wanted); !why.empty()) {
      return fail(ErrorCode::Refused, std::move(why));
    }
    opened = board_.budgets.take(record.wanted);
  }
  if (!opened) {
    return {};
  }
  const auto why = "breaker opens: " + to_string(*opened);
  log::error("VM " + GuestText(record.wanted.vm).printable() + ": " + why);
  if (on_breaker_) {
    on_breaker_(*opened);
  }
  return fail(ErrorCode::Refused, why);
}

void ActionRunner::finish(const ActionRecord &record, const ResponseDone &done, seconds ttl) {
  const std::lock_guard lock(board_.mutex);
  auto *entry = board_.book.find(record.id);
  if (entry == nullptr) {
    return;
  }
  const auto state = state_after(done.status);
  entry->record.stopped_us = done.stopped_us;
  entry->record.paused_us = done.paused_us;
  if (state != ActionState::Acting) {
    entry->record.wanted.match.reset(); // what is over needs no flow
  }
  if (state == ActionState::Done) {
    if (ttl.count() > 0 && record.status != ResponseStatus::DryRun) {
      entry->record.expires_ns = now_ns() + std::chrono::nanoseconds(ttl).count();
    }
    hold(*entry, done.status, done.reason);
    entry->due = due_by_expiry(entry->record);
    return;
  }
  if (state == ActionState::Acting) {
    entry->due = monotonic_now() + kWatch;
    entry->since = monotonic_now();
    entry->record.status = done.status;
    return board_.book.conclude(*entry, {state, kDeskActor, done.reason});
  }
  if (entry->before) { // what was to be renewed is as it was
    entry->record = *std::exchange(entry->before, std::nullopt);
    entry->due = due_by_expiry(entry->record);
    return board_.book.conclude(
        *entry, {ActionState::Done, kDeskActor, "could not be renewed: " + done.reason});
  }
  entry->record.status = done.status;
  entry->record.expires_ns = 0;
  entry->due.reset();
  board_.book.conclude(*entry, {state, kDeskActor, done.reason});
}

void ActionRunner::hold(ActionEntry &entry, ResponseStatus status, const std::string &reason) {
  entry.before.reset();
  entry.since.reset();
  entry.record.status = status;
  board_.book.conclude(entry, {ActionState::Done, kDeskActor, reason});
  if (status == ResponseStatus::DryRun) {
    return;
  }
  const auto &wanted = entry.record.wanted;
  const auto ended = board_.book.where([&](const ActionEntry &other) {
    return &other != &entry && is_in_force(other.record) && ends(wanted, other.record.wanted);
  });
  for (auto *other : ended) {
    const bool renewed = wanted.action == other->record.wanted.action;
    other->due.reset();
    other->record.status = ResponseStatus::Undone;
    board_.book.conclude(*other,
                         {renewed ? ActionState::Expired : ActionState::Undone, wanted.actor,
                          (renewed ? "in place of it: " : "ended by ") + entry.record.id});
  }
}

void ActionRunner::conclude(const std::string &id, ActionState state, const std::string &reason,
                            ResponseStatus status) {
  const std::lock_guard lock(board_.mutex);
  if (auto *entry = board_.book.find(id)) {
    entry->record.status = status;
    entry->before.reset();
    entry->since.reset();
    board_.book.conclude(*entry, {state, kDeskActor, reason});
    entry->due = state == ActionState::Done ? due_by_expiry(entry->record) : std::nullopt;
  }
}

bool ActionRunner::later(const std::string &id, std::chrono::milliseconds wait, seconds most) {
  const std::lock_guard lock(board_.mutex);
  auto *entry = board_.book.find(id);
  if (entry == nullptr) {
    return true;
  }
  const auto now = monotonic_now();
  entry->since = entry->since.value_or(now);
  entry->due = now + wait;
  return now - *entry->since < most;
}

void ActionRunner::unguarded(const ActionRecord &record) {
  if ((is_moving(record.state)) && !later(record.id, kUnguarded, kUnguardedMost)) {
    const bool undoing = record.state == ActionState::Undoing;
    conclude(record.id, undoing ? ActionState::Expired : ActionState::Failed,
             "the VM is not guarded any more", record.status);
  }
}

void ActionRunner::undo(ActionHands &hands, const ActionRecord &record) {
  const auto undone = hands.undo(record.wanted);
  const auto by_time = [&] {
    const std::lock_guard lock(board_.mutex);
    const auto *entry = board_.book.find(record.id);
    return (entry != nullptr && entry->by_time) || is_past(record.expires_ns);
  }();
  if (undone || undone.error().code == ErrorCode::NotFound) {
    return conclude(record.id, by_time ? ActionState::Expired : ActionState::Undone,
                    undone ? record.reason : undone.error().message, ResponseStatus::Undone);
  }
  if (by_time) { // a VM must not stand still for ever
    static_cast<void>(later(record.id, kAgain, kLookMost));
    log::warning("action " + record.id + " could not be ended: " + undone.error().message);
    return;
  }
  const std::lock_guard lock(board_.mutex);
  if (auto *entry = board_.book.find(record.id)) {
    board_.book.conclude(
        *entry, {ActionState::Done, kDeskActor, "could not be undone: " + undone.error().message});
  }
}

void ActionRunner::look(ActionHands &hands, const ActionRecord &record) {
  if (record.state == ActionState::Acting) {
    look_at_acting(hands, record);
  } else if (is_in_force(record) && !is_past(record.expires_ns)) {
    look_at_done(hands, record);
  }
}

void ActionRunner::look_at_acting(ActionHands &hands, const ActionRecord &record) {
  if (record.status == ResponseStatus::DryRun) {
    return conclude(record.id, ActionState::Failed, "the supervisor ended meanwhile",
                    record.status);
  }
  const bool begun = [&] {
    const std::lock_guard lock(board_.mutex);
    const auto *entry = board_.book.find(record.id);
    return entry != nullptr && entry->begun;
  }();
  const auto holds = hands.holds(with_id(record));
  if (!holds) {
    if (later(record.id, kAgain, begun ? kWatchMost : kLookMost)) {
      return;
    }
    const auto reason = "it is not known whether it took effect: " + holds.error().message;
    // What may stand still is taken to, so that its time ends that.
    const bool may_stand = is_lasting(record.wanted.action) && record.expires_ns != 0;
    return conclude(record.id, may_stand ? ActionState::Done : ActionState::Failed, reason,
                    ResponseStatus::Failed);
  }
  if (*holds) {
    const std::lock_guard lock(board_.mutex);
    if (auto *entry = board_.book.find(record.id)) {
      hold(*entry, status_of_done(record.wanted.action),
           begun ? "" : "found to hold after a restart");
      entry->due = due_by_expiry(entry->record);
    }
    return;
  }
  if (!begun) {
    return act(hands, record, record.wanted.ttl, Budget::Take);
  }
  if (!later(record.id, kWatch, kWatchMost)) {
    conclude(record.id, ActionState::Failed, "it did not take effect in ten minutes",
             ResponseStatus::Failed);
  }
}

void ActionRunner::look_at_done(ActionHands &hands, const ActionRecord &record) {
  const auto holds = hands.holds(with_id(record));
  if (!holds || *holds) {
    return;
  }
  if (!ends_in_kernel(record.wanted.action)) { // a VM that somebody let go on is not stopped anew
    return conclude(record.id, ActionState::Undone, "no longer in force: ended by somebody else",
                    ResponseStatus::Undone);
  }
  {
    const std::lock_guard lock(board_.mutex);
    auto *entry = board_.book.find(record.id);
    if (entry == nullptr || !board_.book.take(*entry, entry->record,
                                              {{ActionState::Acting, kDeskActor,
                                                "was no longer in force: put back"}})) {
      return;
    }
  }
  act(hands, record, left_of(record), Budget::Free);
}

} // namespace outguard::daemon
