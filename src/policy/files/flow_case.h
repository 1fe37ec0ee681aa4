#pragma once
// A flow as a person describes it, for tests of a policy: what is not said is not known.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/flow_facts.h"

namespace outguard::policy {

/// What may be said of the process beside the flow.
struct ProcessCase {
  std::optional<std::string> exe, comm, container,
      unit; ///< container "none" and unit "none": in none
  std::optional<std::uint32_t> uid;
  std::optional<Sha256> sha256;
  std::vector<std::string> ancestors; ///< comm, parent first; empty: not known

  /// Somebody is known to hold the socket.
  [[nodiscard]] bool is_known() const {
    return exe || comm || container || unit || uid || sha256 || !ancestors.empty();
  }
};

class FlowCase {
public:
  /// `flow`: "tcp 10.0.0.2:4000 -> 9.9.9.9:443", the guest's end first; "<-": begun by the other
  /// end. `host`: a name seen in it; empty: it has none.
  [[nodiscard]] static Result<FlowCase> make(const std::string &flow, const ProcessCase &process,
                                             std::optional<std::string> host);

  void begun_outside() { initiator_ = FlowDirection::ToGuest; }
  /// Good while this lives and stays where it is.
  [[nodiscard]] FlowFacts facts() const;

private:
  FlowTuple tuple_;
  FlowDirection initiator_ = FlowDirection::ToRemote;
  std::optional<Attribution> attribution_;
  std::optional<Sha256> sha256_;
  std::optional<std::string> host_;
};

/// "tcp", "udp", "icmp", "icmpv6", "udplite", or a number; nullopt for anything else.
[[nodiscard]] std::optional<std::uint8_t> parse_protocol(const std::string &word);
/// 64 hexadecimal digits of either case.
[[nodiscard]] std::optional<Sha256> parse_sha256(const std::string &digits);

} // namespace outguard::policy
