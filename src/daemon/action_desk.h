#pragma once
// Where every action passes: by hand (API) and by policy. Journals each step before it is taken,
// asks the guard, waits for approvals, has the VM's hands act, undoes, lets end what has a time to
// live, and after a restart brings journal and world together by difference. Owned by the
// supervisor; members are for any thread and never wait for a guest: one thread a VM does the
// acting.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "facts/action.h"

namespace outguard::store {
class FileCalls;
}

namespace outguard::daemon {

/// What the desk acts by: one VM's sensor, control and tap. Called on a thread of that VM, may take
/// seconds. A status that claims an effect was read back.
class ActionHands {
public:
  virtual ~ActionHands() = default;
  /// Whether a guard would refuse it: asked right before act(), and alone in a dry run.
  [[nodiscard]] virtual Result<void> allow(const ActionWanted &wanted) = 0;
  /// `dry`: everything but the last call.
  [[nodiscard]] virtual ResponseDone act(const ActionWanted &wanted, bool dry) = 0;
  /// Unsupported: it cannot be undone (a kill). NotFound: what it was done to is gone, so that
  /// nothing is left to undo. Fine where it was undone already.
  [[nodiscard]] virtual Result<void> undo(const ActionWanted &wanted) = 0;
  /// After a crash, of what is pending, and of what should be in force when a VM comes back: is
  /// what was to be done in force, or over (true), or not at all (false)?
  [[nodiscard]] virtual Result<bool> holds(const ActionWanted &wanted) = 0;
};

enum class ApprovalRule : std::uint8_t { Auto, Approve, Never };

struct ActionLimits {
  std::size_t most_records = 10'000;        ///< ended ones are forgotten first, oldest first
  std::chrono::seconds approval_time{3600}; ///< an unanswered question expires
  std::chrono::seconds cool_down{600};      ///< after an undo a policy may not do the same again
};

class ActionDesk {
public:
  /// nullptr: the VM is not guarded (now).
  using FindHands = std::function<std::shared_ptr<ActionHands>(const std::string &vm)>;

  /// Reads the journal in `folder` and reconciles. A damaged journal is an error that says what to
  /// do: nothing is acted on from half a memory.
  [[nodiscard]] static Result<std::unique_ptr<ActionDesk>>
  open(const std::string &folder, FindHands find_hands, ActionLimits limits = {},
       std::shared_ptr<store::FileCalls> calls = nullptr);
  virtual ~ActionDesk() = default;

  /// Journaled when it returns; the record tells whether it was refused, waits, or is on its way.
  /// The same again: the record there is; what is in force already is renewed under its id.
  [[nodiscard]] virtual Result<ActionRecord> ask(ActionWanted wanted, ApprovalRule rule,
                                                 bool dry_run) = 0;
  /// Refused: `plan_hash` is not that of the record, or it waits no longer.
  [[nodiscard]] virtual Result<ActionRecord>
  approve(const std::string &id, const std::string &plan_hash, const std::string &actor) = 0;
  /// The record is Undoing when it returns; of what still waits, Refused: withdrawn.
  [[nodiscard]] virtual Result<ActionRecord> undo(const std::string &id,
                                                  const std::string &actor) = 0;
  /// Waits for it to leave Asked, Approved, Acting and Undoing; what it is then, or at the time's
  /// end.
  [[nodiscard]] virtual Result<ActionRecord> wait(const std::string &id,
                                                  std::chrono::milliseconds time) = 0;
  [[nodiscard]] virtual std::vector<ActionRecord> list() const = 0; ///< newest first
  [[nodiscard]] virtual std::optional<ActionRecord> find(const std::string &id) const = 0;
  /// A VM is guarded (again): what of it should be in force is looked at and put right.
  virtual void take_vm(const std::string &vm) = 0;
};

} // namespace outguard::daemon
