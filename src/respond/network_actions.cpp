#include "respond/network_actions.h"

#include <fcntl.h>

namespace outguard::respond {

namespace {

bool is_tcp(const FlowSeen &flow) {
  return flow.tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Tcp);
}
bool is_udp(const FlowSeen &flow) {
  return flow.tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Udp);
}

/// What the frames can hold; their parts are a sensor's word.
Result<void> check_frames(const FlowSeen &flow) {
  if (!flow.tunnels.empty()) {
    return fail(ErrorCode::Unsupported, "a flow in a tunnel");
  }
  if (flow.vlans.size() > 2) {
    return fail(ErrorCode::Unsupported, "a flow below more than two VLAN tags");
  }
  if (flow.tuple.local.address.family != flow.tuple.remote.address.family) {
    return fail(ErrorCode::InvalidInput, "a flow between two address families");
  }
  return {};
}

} // namespace

Result<std::unique_ptr<TapActions>> TapActions::open(const Fd &netns, const std::string &tap) {
  auto injector = PacketInjector::open(netns, tap);
  if (!injector) {
    return tl::unexpected(injector.error());
  }
  Fd own(::fcntl(netns.get(), F_DUPFD_CLOEXEC, 0));
  if (!own) {
    return fail_errno("keep a network namespace");
  }
  return std::unique_ptr<TapActions>(new TapActions(std::move(own), tap, std::move(*injector)));
}

Result<TapFilter *> TapActions::filter() {
  if (!filter_) {
    auto opened = open_tap_filter(netns_, tap_);
    if (!opened) {
      return tl::unexpected(opened.error());
    }
    filter_ = std::move(opened->filter);
  }
  return filter_.get();
}

Result<void> TapActions::block(const FlowSeen &flow, std::chrono::seconds ttl) {
  if (!flow.tunnels.empty()) { // to block what carries it would block others' flows too
    return fail(ErrorCode::Unsupported, "a flow in a tunnel cannot be matched");
  }
  const auto found = filter();
  if (!found) {
    return tl::unexpected(found.error());
  }
  TapFilter &filter = **found;
  if (flow.vlans.size() > filter.most_tags()) {
    return fail(ErrorCode::Unsupported,
                std::string(filter.mechanism()) + " matches no flow below so many VLAN tags");
  }
  return filter.add(FlowRule{flow.tuple}, ttl);
}

Result<void> TapActions::check_reset(const FlowSeen &flow, const ResetPositions &positions) {
  if (!is_tcp(flow)) {
    return fail(ErrorCode::Unsupported, "only TCP has resets");
  }
  if (auto possible = check_frames(flow); !possible) {
    return possible;
  }
  if (!tcp_reset(flow, positions.for_guest, Toward::Guest)) {
    return fail(ErrorCode::Unsupported, "no sequence number that the guest's end would accept");
  }
  if (!tcp_reset(flow, positions.for_remote, Toward::Remote)) {
    return fail(ErrorCode::Unsupported, "no sequence number that the remote end would accept");
  }
  return injector_.check_to_remote(flow);
}

Result<void> TapActions::reset(const FlowSeen &flow, const ResetPositions &positions) {
  if (!is_tcp(flow) || !check_frames(flow)) {
    return check_reset(flow, positions);
  }
  // What is possible is done even if it is one end only; the answer says that it was not both.
  if (const auto frame = tcp_reset(flow, positions.for_guest, Toward::Guest)) {
    if (auto sent = injector_.to_guest(*frame); !sent) {
      return sent;
    }
  }
  if (const auto frame = tcp_reset(flow, positions.for_remote, Toward::Remote)) {
    if (auto sent = injector_.to_remote(flow, *frame); !sent) {
      return sent;
    }
  }
  return check_reset(flow, positions);
}

Result<void> TapActions::wake(const FlowSeen &flow, const TcpPosition &position) {
  if (auto possible = check_frames(flow); !possible) {
    return possible;
  }
  if (is_udp(flow)) {
    auto sent = injector_.to_guest(port_unreachable(flow));
    return sent ? injector_.to_guest(empty_datagram(flow)) : sent;
  }
  if (is_tcp(flow)) {
    if (const auto frame = tcp_reset(flow, position, Toward::Guest)) {
      return injector_.to_guest(*frame);
    }
  }
  return fail(ErrorCode::Unsupported, "no packet that would wake the process");
}

} // namespace outguard::respond
