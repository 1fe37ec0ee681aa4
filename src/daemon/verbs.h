#pragma once
// What people ask of a running supervisor through its API: acts, what became of them, undo,
// approval. Owned by the supervisor; called on threads of the API's server, many at a time. Gives
// up waiting when its client has left; what was begun goes on and is in the journal.

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "api/answers.h"
#include "api/requests.h"
#include "api/server.h"
#include "daemon/action_desk.h"
#include "facts/process_seen.h"

namespace outguard::daemon {

/// A VM that is guarded.
struct VmAsked {
  std::string key;
  std::shared_ptr<ActionHands> hands;
  /// NotFound: no process of the guest has this pid.
  std::function<Result<ProcessSeen>(std::int32_t pid)> look_at;
};

class Verbs {
public:
  struct Parts {
    ActionDesk *desk = nullptr; ///< null: there is none, as `no_desk` says
    std::string no_desk = {};
    std::function<Result<VmAsked>(const std::string &target)> find_vm;
    std::function<void()> accept_losses;
    std::vector<IpNetwork> always_allowed = {}; ///< let through by every isolation
    std::vector<Protection> configured = {}; ///< without an id: protected beside what people added
  };
  explicit Verbs(Parts parts) : parts_(std::move(parts)) {}

  /// The answer's line, of all but StatusAsked.
  [[nodiscard]] std::string answer(const api::Request &request, const api::Peer &peer,
                                   const std::stop_token &gone) const;

private:
  [[nodiscard]] Result<ActionRecord> act(const api::Act &act, const std::string &actor,
                                         const std::stop_token &gone) const;
  /// Release, UnpauseVm, Resume: what we did before is undone, and nothing of anybody else's.
  [[nodiscard]] Result<ActionRecord> end_earlier(const ActionWanted &wanted, const api::Act &act,
                                                 const std::stop_token &gone) const;
  [[nodiscard]] Result<api::AllowAnswer> check(const api::CheckAllowed &check) const;
  [[nodiscard]] Result<Protection> allow(const api::AddAllowed &add,
                                         const std::string &actor) const;
  [[nodiscard]] std::vector<Protection> allowed() const;
  /// Waits until it goes no further by itself, or time is up.
  [[nodiscard]] Result<ActionRecord> settled(Result<ActionRecord> record,
                                             std::chrono::milliseconds time,
                                             const std::stop_token &gone) const;

  const Parts parts_;
};

} // namespace outguard::daemon
