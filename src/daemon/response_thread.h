#pragma once
// Responds to the findings of one VM and records each: an alert with what was done about it. Asks
// the action desk for all of a finding's actions together and waits for none: while a process is
// looked at until it has ended, the next finding's block is asked for. Owned by the VM's guard,
// which tells it of each sensor. Members are for any thread.

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "daemon/action_desk.h"
#include "facts/finding.h"
#include "facts/messages.h"

namespace outguard::daemon {

/// What responses need of the supervisor. Plain values, but for the desk.
struct ResponseParts {
  ActionDesk *desk = nullptr; ///< null: there is none, as `no_desk` says; alerts go on
  std::string no_desk = {};
  std::array<ApprovalRule, kResponseActions> approvals = {}; ///< by ResponseAction
  std::vector<IpNetwork> always_allowed = {};                ///< let through by every isolation
  /// The EVE file and the terminal.
  std::function<void(const Finding &, const std::vector<ResponseDone> &)> record;
};

class ResponseThread {
public:
  /// `vm`: what the desk knows it by. `parts` outlives this.
  ResponseThread(std::string vm, const ResponseParts &parts);
  /// What waits for a response is recorded without one.
  ~ResponseThread();
  ResponseThread(const ResponseThread &) = delete;
  ResponseThread &operator=(const ResponseThread &) = delete;

  /// Tells the thread to end and returns at once.
  void end();

  /// Another sensor, which numbers flows anew, or none.
  void forget_hashes();
  /// An alert waits a moment for the hash of what its process runs.
  void take_hash(const ExecutableHashed &hashed);
  /// Where too many wait already the alert is recorded at once, without a response.
  void answer(Finding finding);

private:
  /// A finding that was asked about.
  struct Answer {
    std::shared_ptr<Finding> finding;
    std::vector<ResponseDone> done;
    std::set<std::string> open; ///< actions that may still change
    MonotonicTime due; ///< recorded then at the latest; brought forward once nothing is open
  };
  /// What the desk tells into, also when this is gone.
  struct Inbox {
    std::mutex mutex; ///< guards all that is below, here and in the thread
    std::condition_variable changed;
    std::vector<ActionRecord> told;
  };

  void respond_to_findings();
  [[nodiscard]] Answer respond(Finding finding);
  /// Puts what the desk told into the answers.
  void take(const std::vector<ActionRecord> &told);
  /// Records what has all its answers and its executable's hash, or has waited long enough.
  void record_answered(bool all);
  /// Under the mutex: of the process that the finding names.
  [[nodiscard]] const FileHash *hash_for(const Finding &finding) const;
  [[nodiscard]] bool is_ready(const Answer &answer) const;
  void await_the_rest();

  const std::string vm_;
  const ResponseParts &parts_;
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::deque<Answer> answers_; ///< the thread's

  std::deque<Finding> findings_;
  std::deque<ExecutableHashed> hashes_;
  bool ending_ = false;

  std::thread thread_; ///< last: it uses all above
};

} // namespace outguard::daemon
