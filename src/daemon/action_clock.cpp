#include "daemon/action_clock.h"

#include <algorithm>

#include "daemon/action_rules.h"

namespace outguard::daemon {

namespace {

constexpr std::chrono::seconds kLongestWait{1}; ///< a time to live may begin meanwhile
constexpr std::chrono::milliseconds kShortestWait{5};
constexpr std::chrono::seconds kQueuedAgain{5};

} // namespace

ActionClock::ActionClock(ActionBoard &board, ActionWorkers &workers)
    : board_(board), workers_(workers), thread_([this] { tick(); }) {}

ActionClock::~ActionClock() {
  {
    const std::lock_guard lock(board_.mutex);
    ending_ = true;
  }
  board_.changed.notify_all();
  thread_.join();
}

void ActionClock::queue(ActionWorkers &workers, ActionEntry &entry, ActionJob::Kind kind) {
  if (!entry.queued) {
    entry.queued = workers.add(lane_of(entry.record.wanted), {kind, entry.record.id});
  }
}

void ActionClock::tick() {
  std::unique_lock lock(board_.mutex);
  while (!ending_) {
    const auto now = monotonic_now();
    auto next = now + kLongestWait;
    for (auto *entry : board_.book.where([](const auto &one) { return one.due.has_value(); })) {
      if (*entry->due <= now) {
        look_at(*entry);
      }
      if (entry->due) {
        next = std::min(next, *entry->due);
      }
    }
    board_.book.write_rest();
    workers_.tidy();
    // Not woken by every change: whatever is new is due later than the next look, or is looked at
    // by whoever changed it.
    board_.changed.wait_until(lock, std::max(next, now + kShortestWait),
                              [this] { return ending_; });
  }
}

void ActionClock::look_at(ActionEntry &entry) {
  switch (entry.record.state) {
  case ActionState::Waiting:
    entry.due.reset();
    board_.book.conclude(entry, {ActionState::Expired, kDeskActor, "nobody approved it in time"});
    return;
  case ActionState::Asked:
  case ActionState::Approved: // a supervisor that ended in the middle of keeping what follows
    entry.due.reset();
    board_.book.conclude(entry, {ActionState::Refused, kDeskActor,
                                 "the supervisor ended before it was begun: ask again"});
    return;
  case ActionState::Acting:
    entry.due = monotonic_now() + kQueuedAgain;
    return queue(workers_, entry, ActionJob::Kind::Look);
  case ActionState::Undoing:
    entry.due = monotonic_now() + kQueuedAgain;
    return queue(workers_, entry, ActionJob::Kind::Undo);
  case ActionState::Done:
    entry.due.reset();
    if (!is_in_force(entry.record)) {
      return;
    }
    if (ends_in_kernel(entry.record.wanted.action) && !entry.by_time) {
      entry.record.status = ResponseStatus::Undone;
      board_.book.conclude(entry, {ActionState::Expired, kDeskActor, ""});
      return;
    }
    // Goes on where the journal cannot be written: that it ends was journaled when it began.
    entry.by_time = true;
    entry.due = monotonic_now() + kQueuedAgain;
    board_.book.conclude(entry, {ActionState::Undoing, kDeskActor, "its time has ended"});
    return queue(workers_, entry, ActionJob::Kind::Undo);
  default:
    entry.due.reset();
  }
}

} // namespace outguard::daemon
