#pragma once
// Does what is to be done at a time: questions that nobody answered expire, what has a time to live
// ends, what is pending is looked at, what the journal could not take is tried again. One thread.
// Owned by the desk.

#include <thread>

#include "daemon/action_runner.h"
#include "daemon/action_workers.h"

namespace outguard::daemon {

class ActionClock {
public:
  /// Both outlive it.
  ActionClock(ActionBoard &board, ActionWorkers &workers);
  ~ActionClock();
  ActionClock(const ActionClock &) = delete;
  ActionClock &operator=(const ActionClock &) = delete;

  /// Under the board's mutex.
  static void queue(ActionWorkers &workers, ActionEntry &entry, ActionJob::Kind kind);

private:
  void tick();
  void look_at(ActionEntry &entry);

  ActionBoard &board_;
  ActionWorkers &workers_;
  bool ending_ = false; ///< under the board's mutex
  std::thread thread_;
};

} // namespace outguard::daemon
