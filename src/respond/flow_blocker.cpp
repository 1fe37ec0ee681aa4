#include "respond/flow_blocker.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <net/if.h>

#include "hypervisor/network_namespace.h"
#include "respond/nft_runner.h"
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

std::string element(const Endpoint &from, const Endpoint &to, std::uint8_t protocol) {
  return fmt::format("{} . {} . {} . {} . {}", from.address.to_string(), to.address.to_string(),
                     protocol, from.port, to.port);
}

std::string from_guest(const FlowTuple &flow) {
  return element(flow.local, flow.remote, flow.protocol);
}
std::string to_guest(const FlowTuple &flow) {
  return element(flow.remote, flow.local, flow.protocol);
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
  if (flow.vlans.size() > 1) {
    return fail(ErrorCode::Unsupported, "a flow below two VLAN tags cannot be matched");
  }
  if (flow.tuple.local.address.family != flow.tuple.remote.address.family) {
    return fail(ErrorCode::InvalidInput, "a flow between two address families");
  }
  return {};
}

} // namespace

Result<FlowBlocker> FlowBlocker::open(Fd netns, const std::string &tap,
                                      std::optional<Mechanism> only) {
  if (!is_safe_name(tap)) {
    return fail(ErrorCode::Unsupported, "the tap's name has characters that nftables has not");
  }
  return FlowBlocker(std::move(netns), tap, only);
}

std::string FlowBlocker::table(Mechanism mechanism) const {
  return fmt::format("{} outguard_{}", mechanism == Mechanism::Netdev ? "netdev" : "bridge", tap_);
}

/// Creates what is missing and makes the rules anew; what is blocked stays. Runs with every block:
/// a tap that was made again has lost its chains.
std::string FlowBlocker::setup(Mechanism mechanism) const {
  const std::string name = table(mechanism);
  const bool netdev = mechanism == Mechanism::Netdev;
  std::string commands = fmt::format("add table {}\n", name);
  for (const char *family : {"4", "6"}) {
    commands += fmt::format("add set {} flows{} {{ type ipv{}_addr . ipv{}_addr . inet_proto . "
                            "inet_service . inet_service; flags timeout; size {}; }}\n",
                            name, family, family, family, kMostElements);
  }
  struct Direction {
    const char *chain, *netdev_hook, *bridge_hook, *match;
    bool to_guest;
  };
  for (const auto &way : {Direction{"from_guest", "ingress", "prerouting", "iifname", false},
                          Direction{"to_guest", "egress", "postrouting", "oifname", true}}) {
    commands += netdev ? fmt::format("add chain {} {} {{ type filter hook {} device \"{}\" "
                                     "priority -450; policy accept; }}\n",
                                     name, way.chain, way.netdev_hook, tap_)
                       : fmt::format("add chain {} {} {{ type filter hook {} priority -450; "
                                     "policy accept; }}\n",
                                     name, way.chain, way.bridge_hook);
    commands += fmt::format("flush chain {} {}\n", name, way.chain);
    if (way.to_guest) { // our own resets and wakes
      commands +=
          fmt::format("add rule {} {} meta mark {:#x} accept\n", name, way.chain, kOwnPacketMark);
    }
    const std::string device = netdev ? "" : fmt::format("{} \"{}\" ", way.match, tap_);
    for (const char *rule :
         {"ip saddr . ip daddr . meta l4proto . th sport . th dport @flows4",
          "ip6 saddr . ip6 daddr . meta l4proto . th sport . th dport @flows6"}) {
      commands += fmt::format("add rule {} {} {}{} counter drop\n", name, way.chain, device, rule);
    }
  }
  return commands;
}

Result<void> FlowBlocker::add(Mechanism mechanism, const FlowTuple &flow,
                              std::chrono::seconds ttl) const {
  std::string commands = setup(mechanism);
  const auto timed = [&](const std::string &what) {
    return fmt::format("add element {} {} {{ {} timeout {}s }}\n", table(mechanism), set_of(flow),
                       what, ttl.count());
  };
  // add, delete, add: adding alone would leave the old time to live of one that is there.
  for (const auto &what : {from_guest(flow), to_guest(flow)}) {
    commands += timed(what);
    commands +=
        fmt::format("delete element {} {} {{ {} }}\n", table(mechanism), set_of(flow), what);
    commands += timed(what);
  }
  const auto done = run_nft(netns_, commands);
  return done ? Result<void>() : tl::unexpected(done.error());
}

Result<void> FlowBlocker::block(const FlowSeen &flow, std::chrono::seconds ttl) {
  if (auto possible = check_possible(flow); !possible) {
    return possible;
  }
  if (ttl.count() < 1 || ttl > kMostTtl) {
    return fail(ErrorCode::InvalidInput, "a block needs a time to live of 1 s to 30 days");
  }
  // Since Linux 6.16 a chain may name a device that is not there: it would block nothing.
  auto there = hypervisor::in_namespace(netns_, [&]() -> Result<void> {
    return ::if_nametoindex(tap_.c_str()) != 0
               ? Result<void>()
               : fail(ErrorCode::NotFound, "no network device " + tap_);
  });
  if (!there) {
    return there;
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

Result<std::optional<std::chrono::seconds>>
FlowBlocker::remaining_in(const std::string &set, const std::string &element) const {
  const auto mechanism = mechanism_.value_or(Mechanism::Netdev);
  const auto got =
      run_nft(netns_, fmt::format("get element {} {} {{ {} }}\n", table(mechanism), set, element));
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
  const auto out = remaining_in(set_of(flow), from_guest(flow));
  const auto in = remaining_in(set_of(flow), to_guest(flow));
  if (!out || !in) {
    return !out ? out : in;
  }
  if (out->has_value() != in->has_value()) {
    return fail(ErrorCode::SystemFailed, "only one direction of the flow is still blocked");
  }
  return *out ? std::optional(std::min(**out, **in)) : std::nullopt;
}

Result<void> FlowBlocker::unblock(const FlowTuple &flow) {
  const auto left = remaining(flow);
  if (left && !*left) {
    return {};
  }
  const auto mechanism = mechanism_.value_or(Mechanism::Netdev);
  std::string commands;
  for (const auto &what : {from_guest(flow), to_guest(flow)}) {
    // Adding first makes deleting one that is not there no error.
    commands += fmt::format("add element {0} {1} {{ {2} timeout 1s }}\n"
                            "delete element {0} {1} {{ {2} }}\n",
                            table(mechanism), set_of(flow), what);
  }
  const auto done = run_nft(netns_, commands);
  return done ? Result<void>() : tl::unexpected(done.error());
}

Result<void> FlowBlocker::remove_all() {
  for (const auto mechanism : {Mechanism::Netdev, Mechanism::Bridge}) {
    if (mechanism_ && *mechanism_ != mechanism) {
      continue;
    }
    const auto done =
        run_nft(netns_, fmt::format("add table {0}\ndelete table {0}\n", table(mechanism)));
    if (!done) {
      return tl::unexpected(done.error());
    }
  }
  return {};
}

} // namespace outguard::respond
