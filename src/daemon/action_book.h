#pragma once
// The desk's actions: in memory as they are, in the journal how they came to be so. The one place
// where a record changes. Not locked: whoever uses it holds the desk's mutex.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "daemon/action_desk.h"
#include "facts/action.h"
#include "respond/protections.h"
#include "store/action_journal.h"

namespace outguard::daemon {

struct ActionEntry {
  ActionRecord record;
  std::uint64_t order = 0;            ///< later ones are larger
  std::optional<MonotonicTime> due;   ///< when the desk looks at it next
  std::optional<MonotonicTime> since; ///< when it began to be tried in vain, or be watched
  std::optional<ActionRecord> before; ///< what is in force meanwhile, while it is renewed
  bool queued = false;                ///< a worker has it
  bool begun = false;                 ///< since this start it was acted on
  bool approved = false;              ///< since this start, by somebody
  bool by_time = false;               ///< its time has ended, and it is to be taken away
  bool unwritten = false;        ///< the journal does not know the latest step, which has happened
  std::vector<std::string> next; ///< ids of what is begun once this was acted on
  std::vector<ActionDesk::Told> told;
};

/// A step: what becomes of the record, by whom, and why in our own words.
struct ActionStep {
  ActionState state = ActionState::Asked;
  std::string actor;
  std::string reason = {};
};

/// A new action, or another plan for one that there is.
struct ActionChange {
  ActionEntry *entry = nullptr; ///< null: a new one
  ActionRecord record;
  std::vector<ActionStep> steps;
};
/// Whether what cannot be journaled is begun all the same: of blocks alone, which the kernel ends.
enum class Unjournaled : std::uint8_t { Refuse, Begin };

inline constexpr const char *kDeskActor = "desk";

/// When the time of what is in force or waits ends; a wall clock that was set back makes no time to
/// live longer than it was.
[[nodiscard]] std::optional<MonotonicTime> due_by_expiry(const ActionRecord &record);

class ActionBook {
public:
  /// Entries that are not over, or still in force, are due at once.
  [[nodiscard]] static Result<ActionBook> open(const std::string &folder, ActionLimits limits,
                                               store::JournalLimits journal_limits,
                                               std::shared_ptr<store::FileCalls> calls);

  ~ActionBook(); ///< tries once more to write what the journal does not know yet
  ActionBook(ActionBook &&) = default;
  ActionBook &operator=(ActionBook &&) = default;

  /// All in one write and one sync, or an error and nothing changed. LimitReached: all there is
  /// goes on.
  [[nodiscard]] Result<std::vector<ActionEntry *>> enter(std::vector<ActionChange> changes,
                                                         Unjournaled how = Unjournaled::Refuse);
  /// Likewise, of one.
  [[nodiscard]] Result<ActionEntry *> take(ActionEntry &entry, ActionRecord record,
                                           std::vector<ActionStep> steps);
  /// What has happened: it is so at once, and in the journal as soon as that can be.
  void conclude(ActionEntry &entry, const ActionStep &step);
  /// Tries again what the journal does not know yet.
  void write_rest();

  [[nodiscard]] ActionEntry *find(const std::string &id);
  [[nodiscard]] std::vector<ActionRecord> list() const; ///< newest first
  /// Of what is open or was undone, in the order they were asked.
  [[nodiscard]] std::vector<ActionEntry *>
  where(const std::function<bool(const ActionEntry &)> &wanted);

  /// Journaled, then in force. LimitReached: there are too many.
  [[nodiscard]] Result<Protection> allow(Protection entry);
  /// NotFound: nothing in force is called that.
  [[nodiscard]] Result<Protection> disallow(const std::string &id, const std::string &actor);
  [[nodiscard]] const std::shared_ptr<respond::Protections> &protections() const {
    return allowed_;
  }

  [[nodiscard]] const std::string &told() const { return told_; }

private:
  ActionBook(ActionLimits limits, store::ActionJournal::Opened opened);
  [[nodiscard]] static std::vector<store::JournalStep> steps_of(ActionRecord &record,
                                                                std::span<const ActionStep> steps);
  void sort_in(ActionEntry &entry);
  void end_what_was_replaced();
  void begin_file_if_large();
  void forget_ended();
  /// Empty: no random number could be had.
  [[nodiscard]] static std::string random_id(const char *prefix);
  [[nodiscard]] std::string new_id() const;

  ActionLimits limits_;
  std::unique_ptr<store::ActionJournal> journal_;
  std::string told_;
  std::map<std::string, ActionEntry> entries_;
  std::map<std::uint64_t, ActionEntry *> live_; ///< by order: what may matter to another
  std::uint64_t next_order_ = 0;
  std::shared_ptr<respond::Protections> allowed_ = std::make_shared<respond::Protections>();
};

} // namespace outguard::daemon
