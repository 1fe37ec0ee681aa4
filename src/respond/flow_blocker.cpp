#include "respond/flow_blocker.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "hypervisor/network_namespace.h"
#include "respond/packet_injector.h"

namespace outguard::respond {

namespace {

constexpr std::size_t kMostNameBytes = 15; // IFNAMSIZ less the NUL
/// Elements a set holds: two a flow. The kernel refuses more, and the block is then reported as
/// failed.
constexpr unsigned kMostElements = 65536;
constexpr std::chrono::seconds kMostTtl{std::chrono::hours(24) * 30};

bool is_safe_name(const std::string &name) {
  const auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= kMostNameBytes &&
         std::all_of(name.begin(), name.end(), safe);
}

const char *set_of(const FlowTuple &flow) {
  return flow.local.address.family == IpFamily::V4 ? "flows4" : "flows6";
}

/// One element serves both directions: the chain towards the guest looks it up mirrored.
std::string element_of(const FlowTuple &flow) {
  return fmt::format("{} . {} . {} . {} . {}", flow.local.address.to_string(),
                     flow.remote.address.to_string(), flow.protocol, flow.local.port,
                     flow.remote.port);
}

/// "... expires 1h2m3s4ms ..." in nft's text (1.0.6 prints no JSON for one element); rounded up.
std::optional<std::chrono::seconds> expiry_in(std::string_view text) {
  constexpr std::string_view kKey = " expires ";
  const auto at = text.find(kKey);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_prefix(at + kKey.size());
  std::chrono::milliseconds sum{0};
  for (;;) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) {
      return std::chrono::ceil<std::chrono::seconds>(sum);
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto unit = text.substr(0, text.find_first_of("0123456789 \n}"));
    text.remove_prefix(unit.size());
    if (number > kMostTtl.count() * 1000) {
      return std::nullopt;
    }
    sum += unit == "ms"  ? std::chrono::milliseconds(number)
           : unit == "s" ? std::chrono::seconds(number)
           : unit == "m" ? std::chrono::minutes(number)
           : unit == "h" ? std::chrono::hours(number)
                         : std::chrono::hours(24 * number);
  }
}

/// Two tags leave the address out of nftables' reach: the kernel takes one off, the second hides
/// it.
Result<void> check_possible(const FlowSeen &flow) {
  const auto protocol = static_cast<IpProtocol>(flow.tuple.protocol);
  if (protocol != IpProtocol::Tcp && protocol != IpProtocol::Udp) {
    return fail(ErrorCode::Unsupported, "only TCP and UDP flows can be blocked by port");
  }
  if (!flow.tunnels.empty()) { // to block what carries it would block others' flows too
    return fail(ErrorCode::Unsupported, "a flow in a tunnel cannot be matched");
  }
  if (flow.vlans.size() > 1) {
    return fail(ErrorCode::Unsupported, "a flow below two VLAN tags cannot be matched");
  }
  if (flow.tuple.local.address.family != flow.tuple.remote.address.family) {
    return fail(ErrorCode::InvalidInput, "a flow between two address families");
  }
  return {};
}

} // namespace

Result<FlowBlocker> FlowBlocker::open(const Fd &netns, const std::string &tap,
                                      std::optional<Mechanism> only) {
  if (!is_safe_name(tap)) {
    return fail(ErrorCode::Unsupported, "the tap's name has characters that nftables has not");
  }
  auto nft = NftContext::open(netns);
  if (!nft) {
    return tl::unexpected(nft.error());
  }
  auto devices = hypervisor::in_namespace(netns, [] { return RouteNetlink::open(); });
  if (!devices) {
    return tl::unexpected(devices.error());
  }
  return FlowBlocker(std::move(*nft), std::move(*devices), tap, only);
}

std::string FlowBlocker::table(Mechanism mechanism) const {
  return fmt::format("{} outguard_{}", mechanism == Mechanism::Netdev ? "netdev" : "bridge", tap_);
}

/// Creates what is missing and makes the rules anew; what is blocked stays.
std::string FlowBlocker::setup(Mechanism mechanism) const {
  const std::string name = table(mechanism);
  std::string commands = fmt::format("add table {}\n", name);
  for (const char *family : {"4", "6"}) {
    commands += fmt::format("add set {0} flows{1} {{ type ipv{1}_addr . ipv{1}_addr . inet_proto . "
                            "inet_service . inet_service; flags timeout; size {2}; }}\n",
                            name, family, kMostElements);
  }
  struct Direction {
    const char *chain, *netdev_hook, *bridge_hook, *bridge_match, *ours, *local, *remote;
  };
  const std::string mark = fmt::format("meta mark {:#x} accept", kOwnPacketMark);
  for (const auto &way :
       {Direction{"from_guest", "ingress", "prerouting", "iifname", "", "s", "d"},
        Direction{"to_guest", "egress", "postrouting", "oifname", mark.c_str(), "d", "s"}}) {
    const bool netdev = mechanism == Mechanism::Netdev;
    const std::string hook = netdev ? fmt::format("{} device \"{}\"", way.netdev_hook, tap_)
                                    : std::string(way.bridge_hook);
    const std::string match = netdev ? "" : fmt::format("{} \"{}\" ", way.bridge_match, tap_);
    commands += fmt::format("add chain {0} {1} {{ type filter hook {2} priority -450; policy "
                            "accept; }}\nflush chain {0} {1}\n",
                            name, way.chain, hook);
    if (*way.ours != '\0') {
      commands += fmt::format("add rule {} {} {}\n", name, way.chain, way.ours);
    }
    for (const auto &[ip, set] : {std::pair("ip", "flows4"), std::pair("ip6", "flows6")}) {
      commands += fmt::format("add rule {0} {1} {2}{3} {4}addr . {3} {5}addr . meta l4proto . "
                              "th {4}port . th {5}port @{6} counter drop\n",
                              name, way.chain, match, ip, way.local, way.remote, set);
    }
  }
  return commands;
}

/// 0: there is no such device.
int FlowBlocker::device_index() const {
  struct ifreq request {};
  tap_.copy(request.ifr_name, sizeof request.ifr_name - 1);
  return ::ioctl(devices_.socket(), SIOCGIFINDEX, &request) == 0 ? request.ifr_ifindex : 0;
}

Result<void> FlowBlocker::add(Mechanism mechanism, const FlowTuple &flow,
                              std::chrono::seconds ttl) {
  // Since Linux 6.16 a chain may name a device that is not there: it would block nothing.
  const int device = device_index();
  if (device == 0) {
    return fail(ErrorCode::NotFound, "no network device " + tap_);
  }
  if (mechanism == Mechanism::Bridge) {
    // What is routed, or switched by Open vSwitch, passes no bridge hook.
    const auto bridge = devices_.bridge_of(device);
    if (!bridge) {
      return tl::unexpected(bridge.error());
    }
    if (*bridge == 0) {
      return fail(ErrorCode::Unsupported, "the tap is no port of a bridge");
    }
  }
  const std::string set = table(mechanism) + " " + set_of(flow);
  const std::string element = element_of(flow);
  // add, delete, add: adding alone would leave the old time to live of one that is there.
  const std::string commands = fmt::format("add element {0} {{ {1} timeout {2}s }}\n"
                                           "delete element {0} {{ {1} }}\n"
                                           "add element {0} {{ {1} timeout {2}s }}\n",
                                           set, element, ttl.count());
  // A tap that was made again has lost its chains, and an operator's reload may have flushed all.
  if (device == set_up_on_ && nft_.run(commands)) {
    return {};
  }
  const auto done = nft_.run(setup(mechanism) + commands);
  if (!done) {
    return tl::unexpected(done.error());
  }
  set_up_on_ = device;
  return {};
}

Result<void> FlowBlocker::block(const FlowSeen &flow, std::chrono::seconds ttl) {
  if (auto possible = check_possible(flow); !possible) {
    return possible;
  }
  if (ttl.count() < 1 || ttl > kMostTtl) {
    return fail(ErrorCode::InvalidInput, "a block needs a time to live of 1 s to 30 days");
  }
  if (mechanism_) {
    if (auto added = add(*mechanism_, flow.tuple, ttl); !added) {
      return added;
    }
  } else if (auto on_tap = add(Mechanism::Netdev, flow.tuple, ttl); on_tap) {
    mechanism_ = Mechanism::Netdev;
  } else if (auto on_bridge = add(Mechanism::Bridge, flow.tuple, ttl); on_bridge) {
    mechanism_ = Mechanism::Bridge;
  } else {
    return fail(ErrorCode::Unsupported,
                "neither the tap nor its bridge can filter: " + on_tap.error().message + "; " +
                    on_bridge.error().message);
  }
  const auto left = remaining(flow.tuple);
  if (!left) {
    return tl::unexpected(left.error());
  }
  return *left ? Result<void>()
               : fail(ErrorCode::SystemFailed, "the filter entry was not there when read back");
}

Result<std::optional<std::chrono::seconds>> FlowBlocker::remaining_in(Mechanism mechanism,
                                                                      const FlowTuple &flow) const {
  const auto got = nft_.run(fmt::format("get element {} {} {{ {} }}\n", table(mechanism),
                                        set_of(flow), element_of(flow)));
  if (!got) {
    // No table, no set or no element: not blocked, in each case.
    const bool absent = got.error().message.find("No such file") != std::string::npos;
    return absent ? Result<std::optional<std::chrono::seconds>>(std::nullopt)
                  : tl::unexpected(got.error());
  }
  const auto left = expiry_in(*got);
  return left ? Result<std::optional<std::chrono::seconds>>(left)
              : fail(ErrorCode::InvalidInput, "nftables shows a block without an end");
}

Result<std::optional<std::chrono::seconds>> FlowBlocker::remaining(const FlowTuple &flow) const {
  if (mechanism_) {
    return remaining_in(*mechanism_, flow);
  }
  // Perhaps an earlier run of ours blocked it.
  auto on_tap = remaining_in(Mechanism::Netdev, flow);
  return on_tap && !*on_tap ? remaining_in(Mechanism::Bridge, flow) : on_tap;
}

Result<void> FlowBlocker::unblock(const FlowTuple &flow) {
  for (const auto mechanism : {Mechanism::Netdev, Mechanism::Bridge}) {
    const auto left = remaining_in(mechanism, flow);
    if (!left) {
      return tl::unexpected(left.error());
    }
    if (!*left) {
      continue;
    }
    // It may expire right now: adding first makes deleting what is not there no error.
    const auto done = nft_.run(fmt::format("add element {0} {1} {{ {2} timeout 1s }}\n"
                                           "delete element {0} {1} {{ {2} }}\n",
                                           table(mechanism), set_of(flow), element_of(flow)));
    if (!done) {
      return tl::unexpected(done.error());
    }
  }
  return {};
}

Result<void> FlowBlocker::remove_all() {
  set_up_on_ = 0;
  for (const auto mechanism : {Mechanism::Netdev, Mechanism::Bridge}) {
    // Adding first makes deleting what is not there no error.
    const auto done = nft_.run(fmt::format("add table {0}\ndelete table {0}\n", table(mechanism)));
    if (!done) {
      return tl::unexpected(done.error());
    }
  }
  return {};
}

} // namespace outguard::respond
