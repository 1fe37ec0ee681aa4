#pragma once
// What is done to one VM's traffic, at all of its taps: it takes whichever it likes. Rules outlive
// this. Owned by VmHands. One thread at a time, but for wake(), which is for any.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "facts/flow_seen.h"
#include "facts/network_rule.h"
#include "hypervisor/vm_found.h"
#include "respond/network_actions.h"
#include "respond/sensor_link.h"

namespace outguard::daemon {

class TapHands {
public:
  /// `vm` outlives it.
  explicit TapHands(const hypervisor::VmFound &vm) : vm_(vm) {}

  /// At all taps or at none; read back. `match`, where one is answered, says how its flow is
  /// tagged. With `dry` the taps are opened, and that is all.
  [[nodiscard]] Result<void> block(const NetworkRule &rule, std::chrono::seconds ttl,
                                   const MatchSeen *match, respond::SensorLink &sensor, bool dry);
  [[nodiscard]] Result<void> unblock(const NetworkRule &rule);
  /// At every tap.
  [[nodiscard]] Result<bool> is_blocked(const NetworkRule &rule);

  [[nodiscard]] Result<void> reset(const FlowSeen &flow, respond::SensorLink &sensor, bool dry);
  /// Whoever sleeps in the guest's socket: only once its process is marked to die. Not being able
  /// to is no failure of its own.
  void wake(const FlowSeen &flow, respond::SensorLink &sensor);

private:
  [[nodiscard]] Result<respond::TapActions *> at(const std::string &tap);
  [[nodiscard]] Result<void> at_all(const std::function<Result<void>(respond::TapActions &)> &what);
  [[nodiscard]] Result<void>
  at_filters(const std::function<Result<void>(respond::TapFilter &)> &what);

  const hypervisor::VmFound &vm_;
  /// What the remote end knows of the flow that was blocked last: its reset follows.
  std::optional<std::pair<FlowTuple, TcpPosition>> before_block_;

  std::mutex mutex_; ///< guards the map, not what it has
  std::map<std::string, std::unique_ptr<respond::TapActions>> taps_;
};

} // namespace outguard::daemon
