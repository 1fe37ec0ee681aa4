#pragma once
// An action: what somebody or a policy wants done to a VM, one of its processes or its traffic, and
// how far it has come. The journal (store/action_journal.h) is its memory; every way to act
// (policy, command, API) makes one of these, so that each is guarded, journaled, verified and
// undone alike.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "facts/network_rule.h"
#include "facts/process_seen.h"
#include "facts/response.h"

namespace outguard {

struct ActionWanted {
  ResponseAction action = ResponseAction::Kill;
  std::string vm;                         ///< UUID, else what the VM is known by
  std::optional<ProcessIdentity> process; ///< of Kill, Suspend, Resume, Evidence
  bool tree = false;                      ///< Kill: its descendants too
  std::optional<NetworkRule> rule;        ///< of blocks and Isolate
  std::chrono::seconds ttl{0};            ///< of what ends by itself; else 0
  std::string actor;                      ///< "uid 0 (name)", "policy RULE"
  std::string why;                        ///< the actor's words, or the alert's flow and indicator
  /// What a policy answers, in memory only: a reset and what wakes a process are made of its flow.
  std::shared_ptr<const MatchSeen> match = {};
  std::string id = {}; ///< of its record, in memory only: set for whoever carries it out
};

/// Order: Asked -> (Waiting -> Approved) -> Acting -> Done | Failed | Refused; Done -> Undoing ->
/// Undone | Expired, or Done again where it could not be undone. Every step is journaled; Asked,
/// Acting and Undoing before anything happens.
enum class ActionState : std::uint8_t {
  Asked,
  Waiting, ///< for an approval of exactly this plan (`plan_hash`)
  Approved,
  Acting, ///< found so after a crash: looked at in the guest or kernel, never done twice
  Done,   ///< in force, or over and proved
  Failed,
  Refused,
  Undoing, ///< as Acting, of the way back
  Undone,
  Expired,
};
/// Lower case.
[[nodiscard]] const char *to_string(ActionState state);

struct ActionRecord {
  std::string id; ///< "a-" and 12 hexadecimal digits; unique over restarts
  ActionWanted wanted;
  std::string plan_hash; ///< SHA-256 of what is wanted, in canonical JSON: what an approval is for;
                         ///< not of who asks and why
  ActionState state = ActionState::Asked;
  ResponseStatus status = ResponseStatus::Pending; ///< DryRun from the start, if it is one
  std::string reason;                              ///< of the state, our own words
  std::int64_t asked_ns = 0;                       ///< wall clock
  std::int64_t changed_ns = 0;                     ///< of the latest step
  std::int64_t expires_ns = 0;                     ///< of what ends by itself or waits; 0: does not
  /// As of ResponseDone; in memory only.
  std::optional<std::uint64_t> stopped_us = {}, paused_us = {};
};

/// Policies did more of one action within a minute than they may: the rest is refused for a while.
struct BreakerOpened {
  ResponseAction action = ResponseAction::Kill;
  std::string scope; ///< "vm", "rule", "host"
  std::string name;  ///< of the VM or rule; of the host empty
  unsigned most = 0; ///< a minute
  std::chrono::seconds rest{0};
};

/// It goes on until it is undone or its time ends: blocks, isolation, suspension, pause.
[[nodiscard]] bool is_lasting(ResponseAction action);
/// Done, lasting, and no dry run.
[[nodiscard]] bool is_in_force(const ActionRecord &record);
/// In force, waiting, or somebody is at it: not to be forgotten.
[[nodiscard]] bool is_open(const ActionRecord &record);

} // namespace outguard
