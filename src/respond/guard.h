#pragma once
// Says no. Asked right before every action, in monitor mode too, so that a dry run shows what would
// have been refused. What it compares (names, paths) a hostile guest chose: a match can only
// refuse. No budget is shared between VMs: one guest could spend it, and the others would go
// unguarded. Blocks have none: the kernel's set bounds their number, and each one expires. One
// thread at a time; owns its budgets.

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "facts/flow_seen.h"
#include "facts/network_rule.h"
#include "facts/process_seen.h"
#include "facts/response.h"

namespace outguard::respond {

struct ProtectedNetwork {
  IpAddress address;
  std::uint8_t prefix_length = 32;
  std::string name; ///< for the refusal: "gateway"

  [[nodiscard]] bool contains(const IpAddress &other) const;
};

struct GuardPolicy {
  /// File name of the executable, or the process name of a program from a system folder.
  std::vector<std::string> protected_names = default_protected_names();
  std::vector<std::string> protected_paths; ///< whole path of the executable, inside the guest
  /// Remote ends that are never blocked or reset: gateway, DNS, DHCP, management, storage.
  std::vector<ProtectedNetwork> protected_networks;
  unsigned most_kills_per_minute = 5;     ///< of one VM; one more opens the breaker
  unsigned most_resets_per_minute = 120;  ///< of one VM
  std::chrono::seconds breaker_rest{600}; ///< how long an open breaker refuses

  [[nodiscard]] static std::vector<std::string> default_protected_names();
};

class Guard {
public:
  explicit Guard(GuardPolicy policy) : policy_(std::move(policy)) {}

  /// A reload; budgets go on.
  void replace_policy(GuardPolicy policy) { policy_ = std::move(policy); }

  /// Refused with the reason in words; success takes one from the VM's budget for resets.
  [[nodiscard]] Result<void> allow_network(ResponseAction action, const std::string &vm,
                                           const FlowTuple &flow,
                                           MonotonicTime now = monotonic_now());
  /// `process` is one of the match's. The same, from the budget for kills. Refused, too, where the
  /// remote end began the flow: anybody can send one packet from a listed address to a server.
  [[nodiscard]] Result<void> allow_kill(const std::string &vm, const ProcessSeen &process,
                                        const MatchSeen &match,
                                        MonotonicTime now = monotonic_now());

  /// The rules alone, without budget ("would it be protected?").
  [[nodiscard]] Result<void> check_process(const ProcessSeen &process) const;
  [[nodiscard]] Result<void> check_remote(const IpAddress &remote) const;
  /// Refused where any address of it is protected.
  [[nodiscard]] Result<void> check_remote(const IpNetwork &remote) const;

private:
  /// Counts uses within the last minute; over the limit it stays open for a while.
  struct Budget {
    std::deque<MonotonicTime> uses;
    MonotonicTime open_until{};

    [[nodiscard]] bool take(unsigned most, std::chrono::seconds rest, MonotonicTime now);
  };

  [[nodiscard]] static Budget &budget_of(const std::string &vm,
                                         std::map<std::string, Budget> &budgets);

  GuardPolicy policy_;
  std::map<std::string, Budget> kills_;
  std::map<std::string, Budget> resets_;
};

} // namespace outguard::respond
