#include "daemon/tap_hands.h"

#include <algorithm>

#include "hypervisor/network_namespace.h"

namespace outguard::daemon {

Result<respond::TapActions *> TapHands::at(const std::string &tap) {
  const std::lock_guard lock(mutex_);
  if (const auto known = taps_.find(tap); known != taps_.end()) {
    return known->second.get();
  }
  const auto found = std::find_if(vm_.taps.begin(), vm_.taps.end(),
                                  [&](const auto &candidate) { return candidate.name == tap; });
  if (found == vm_.taps.end()) {
    return fail(ErrorCode::Unsupported, "the VM has no such tap");
  }
  const auto netns = hypervisor::open_tap_namespace(vm_, *found);
  if (!netns) {
    return tl::unexpected(netns.error());
  }
  auto actions = respond::TapActions::open(*netns, tap);
  if (!actions) {
    return tl::unexpected(actions.error());
  }
  return taps_.emplace(tap, std::move(*actions)).first->second.get();
}

Result<void> TapHands::at_all(const std::function<Result<void>(respond::TapActions &)> &what) {
  if (vm_.taps.empty()) {
    return fail(ErrorCode::Unsupported, "the VM has no tap that could filter");
  }
  for (const auto &tap : vm_.taps) {
    const auto actions = at(tap.name);
    const auto outcome = actions ? what(**actions) : tl::unexpected(actions.error());
    if (!outcome) {
      return fail(outcome.error().code, "tap " + tap.name + ": " + outcome.error().message);
    }
  }
  return {};
}

Result<void> TapHands::at_filters(const std::function<Result<void>(respond::TapFilter &)> &what) {
  return at_all([&](respond::TapActions &tap) -> Result<void> {
    const auto filter = tap.filter();
    return filter ? what(**filter) : tl::unexpected(filter.error());
  });
}

Result<void> TapHands::block(const NetworkRule &rule, std::chrono::seconds ttl,
                             const MatchSeen *match, respond::SensorLink &sensor, bool dry) {
  if (dry) {
    return at_all([](respond::TapActions &) { return Result<void>(); });
  }
  const auto *flow = std::get_if<FlowRule>(&rule);
  const bool answers_flow = flow != nullptr && match != nullptr;
  before_block_.reset();
  if (match != nullptr) {
    before_block_.emplace(match->flow.tuple, sensor.tcp_position(match->flow));
  }
  auto outcome = at_all([&](respond::TapActions &tap) -> Result<void> {
    if (answers_flow) {
      return tap.block(match->flow, ttl);
    }
    const auto filter = tap.filter();
    return filter ? (*filter)->add(rule, ttl) : tl::unexpected(filter.error());
  });
  if (!outcome) {
    before_block_.reset();
    if (outcome.error().code != ErrorCode::Unsupported) { // else it is nowhere
      static_cast<void>(unblock(rule));
    }
  }
  return outcome;
}

Result<void> TapHands::unblock(const NetworkRule &rule) {
  return at_filters([&](respond::TapFilter &filter) -> Result<void> {
    const auto removed = filter.remove(rule);
    const auto left = removed ? filter.remaining(rule) : tl::unexpected(removed.error());
    if (!left) {
      return tl::unexpected(left.error());
    }
    return *left ? fail(ErrorCode::SystemFailed, "it is still in force") : Result<void>();
  });
}

Result<bool> TapHands::is_blocked(const NetworkRule &rule) {
  bool all = true;
  const auto looked = at_filters([&](respond::TapFilter &filter) -> Result<void> {
    const auto left = filter.remaining(rule);
    all = all && left && *left;
    return left ? Result<void>() : tl::unexpected(left.error());
  });
  return looked ? Result<bool>(all) : tl::unexpected(looked.error());
}

Result<void> TapHands::reset(const FlowSeen &flow, respond::SensorLink &sensor, bool dry) {
  const auto tap = at(flow.interface);
  if (!tap) {
    return tl::unexpected(tap.error());
  }
  const auto now = sensor.tcp_position(flow);
  const bool blocked = before_block_ && before_block_->first == flow.tuple;
  const respond::ResetPositions positions{now, blocked ? before_block_->second : now};
  return dry ? (*tap)->check_reset(flow, positions) : (*tap)->reset(flow, positions);
}

void TapHands::wake(const FlowSeen &flow, respond::SensorLink &sensor) {
  if (const auto tap = at(flow.interface)) {
    static_cast<void>((*tap)->wake(flow, sensor.tcp_position(flow)));
  }
}

} // namespace outguard::daemon
