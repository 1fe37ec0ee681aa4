#pragma once
// What is done about an action on a thread of its VM: act, undo, look. Asks the VM's hands without
// holding the desk's mutex, and concludes in the book. Owned by the desk.

#include <condition_variable>
#include <mutex>

#include "daemon/action_book.h"
#include "daemon/action_desk.h"
#include "daemon/action_workers.h"

namespace outguard::daemon {

/// What the desk's threads share.
struct ActionBoard {
  std::mutex mutex;                ///< guards the book
  std::condition_variable changed; ///< a record, or a due time
  ActionBook book;
  ActionBudgets budgets; ///< under the mutex too
};

class ActionRunner {
public:
  /// All outlive it.
  ActionRunner(ActionBoard &board, const ActionDesk::FindHands &find_hands,
               const ActionDesk::OnBreaker &on_breaker)
      : board_(board), find_hands_(find_hands), on_breaker_(on_breaker) {}

  void run(const ActionJob &job);

private:
  enum class Budget { Take, Free };
  void act(ActionHands &hands, const ActionRecord &record, std::chrono::seconds ttl, Budget budget);
  /// Refused: a policy did too much of this.
  [[nodiscard]] Result<void> take_budget(const ActionRecord &record);
  void undo(ActionHands &hands, const ActionRecord &record);
  void look(ActionHands &hands, const ActionRecord &record);
  void look_at_acting(ActionHands &hands, const ActionRecord &record);
  void look_at_done(ActionHands &hands, const ActionRecord &record);

  void finish(const ActionRecord &record, const ResponseDone &done, std::chrono::seconds ttl);
  /// It holds: nothing else of the VM that it ends is in force any more.
  void hold(ActionEntry &entry, ResponseStatus status, const std::string &reason);
  void conclude(const std::string &id, ActionState state, const std::string &reason,
                ResponseStatus status);
  /// Looks again later; false: it was tried for long enough.
  [[nodiscard]] bool later(const std::string &id, std::chrono::milliseconds wait,
                           std::chrono::seconds most);
  void unguarded(const ActionRecord &record);

  ActionBoard &board_;
  const ActionDesk::FindHands &find_hands_;
  const ActionDesk::OnBreaker &on_breaker_;
};

} // namespace outguard::daemon
