#pragma once
// Where every action passes: by hand (API) and by policy. Journals each step before it is taken,
// asks the guard, waits for approvals, has the VM's hands act, undoes, lets end what has a time to
// live, and after a restart brings journal and world together by difference. Owned by the
// supervisor; members are for any thread and never wait for a guest: two threads a VM do the
// acting, one on its traffic, one on its memory.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/action_budgets.h"
#include "facts/action.h"
#include "facts/protection.h"

namespace outguard::store {
class FileCalls;
}

namespace outguard::respond {
class Protections;
}

namespace outguard::daemon {

/// What the desk acts by: one VM's sensor, control and tap. Called on the threads of that VM, may
/// take seconds. A status that claims an effect was read back.
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
/// "auto", "approve", "never".
[[nodiscard]] const char *to_string(ApprovalRule rule);

struct ActionLimits {
  std::size_t most_records = 10'000;        ///< ended ones are forgotten first, oldest first
  std::size_t most_of_policies = 1'000;     ///< of one VM, in force or waiting
  std::chrono::seconds approval_time{3600}; ///< an unanswered question expires
  std::chrono::seconds cool_down{600};      ///< after an undo a policy may not do the same again
  std::chrono::seconds breaker_rest{600};   ///< how long one that opened refuses
  BudgetTable budgets = default_budgets();
};

struct ActionAsked {
  ActionWanted wanted;
  ApprovalRule rule = ApprovalRule::Auto;
  bool dry_run = false;
};

class ActionDesk {
public:
  /// nullptr: the VM is not guarded (now).
  using FindHands = std::function<std::shared_ptr<ActionHands>(const std::string &vm)>;
  /// What became of one that is Acting, each time that it was at its VM. On the VM's thread.
  using Told = std::function<void(const ActionRecord &record)>;
  using OnBreaker = std::function<void(const BreakerOpened &opened)>;

  /// Reads the journal in `folder` and reconciles. A damaged journal is an error that says what to
  /// do: nothing is acted on from half a memory.
  [[nodiscard]] static Result<std::unique_ptr<ActionDesk>>
  open(const std::string &folder, FindHands find_hands, ActionLimits limits = {},
       std::shared_ptr<store::FileCalls> calls = nullptr, OnBreaker on_breaker = {});
  virtual ~ActionDesk() = default;

  /// Journaled with one sync when it returns; each record tells whether it was refused, waits, or
  /// is on its way. The same again: the record there is; what is in force already is renewed under
  /// its id. What contains comes first: the VM's memory is left alone until that was tried.
  /// What a policy is refused here is not journaled and has no id. What cannot be journaled is an
  /// error and not begun, but for blocks by policy: the kernel ends them, and the journal is told
  /// when it can be.
  [[nodiscard]] virtual std::vector<Result<ActionRecord>>
  ask_together(std::vector<ActionAsked> asked, const Told &told) = 0;
  [[nodiscard]] Result<ActionRecord> ask(ActionWanted wanted, ApprovalRule rule, bool dry_run);
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
  /// What policies did so far is forgotten: they may again.
  virtual void close_breakers() = 0;

  /// Journaled when it returns, and asked by every guard from then on; what is done already stays.
  /// Isolations that are asked for from then on let it through.
  /// `ttl` 0: for good.
  [[nodiscard]] virtual Result<Protection> allow(Protection entry, std::chrono::seconds ttl) = 0;
  /// NotFound: nothing in force is called that.
  [[nodiscard]] virtual Result<Protection> disallow(const std::string &id,
                                                    const std::string &actor) = 0;
  /// What guards ask.
  [[nodiscard]] virtual std::shared_ptr<const respond::Protections> protections() const = 0;
};

} // namespace outguard::daemon
