#pragma once
// Says no. Asked right before every action, by hand and by policy, in a dry run too, so that it
// shows what would have been refused. What it compares (names, paths) a hostile guest chose: a
// match can only refuse. How often policies may act is the desk's (daemon/action_budgets.h).
// Immutable but for what people add, any thread.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "facts/flow_seen.h"
#include "facts/network_rule.h"
#include "facts/process_seen.h"
#include "respond/protections.h"

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
  std::shared_ptr<const Protections> added = {}; ///< while it runs; null: nothing can be

  [[nodiscard]] static std::vector<std::string> default_protected_names();
};

/// Whether what matched is enough to end or stop a process for: refused where it is not certain
/// whose flow it is, and where the remote end began it: anybody can send one packet from a listed
/// address to a server.
[[nodiscard]] Result<void> check_match(const MatchSeen &match);

class Guard {
public:
  /// `vm`: whose added protections count, beside those of every VM.
  explicit Guard(GuardPolicy policy, std::string vm = {})
      : policy_(std::move(policy)), vm_(std::move(vm)) {}

  /// Refused with the reason in words.
  [[nodiscard]] Result<void> check_process(const ProcessSeen &process) const;
  /// Refused where any address of it is protected.
  [[nodiscard]] Result<void> check_remote(const IpNetwork &remote) const;

private:
  [[nodiscard]] std::vector<Protection> added() const {
    return policy_.added ? policy_.added->of(vm_) : std::vector<Protection>();
  }

  const GuardPolicy policy_;
  const std::string vm_;
};

} // namespace outguard::respond
