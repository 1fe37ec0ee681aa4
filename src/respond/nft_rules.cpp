#include "respond/nft_rules.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "respond/packet_injector.h"

namespace outguard::respond {

namespace {

constexpr std::size_t kMostNameBytes = 15; // IFNAMSIZ less the NUL
/// Elements a set holds. The kernel refuses more, and the rule is then reported as failed.
constexpr unsigned kMostElements = 65536;
constexpr std::string_view kPortSets[] = {"ports_in", "ports_out", "ports_both"};
constexpr std::string_view kCounters[] = {"flow_drops", "remote_drops", "port_drops",
                                          "isolation_drops"};

IpAddress mask_of(IpFamily family, unsigned length) {
  IpAddress mask;
  mask.family = family;
  for (unsigned bit = 0; bit < length && bit < 128; ++bit) {
    mask.bytes[bit / 8] = static_cast<std::uint8_t>(mask.bytes[bit / 8] | 0x80U >> (bit % 8));
  }
  return mask;
}

template <class Number> std::optional<Number> number_of(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number)
                                                                  : std::nullopt;
}

std::optional<IpNetwork> network_in(std::string_view set, const NftElement &element) {
  const auto length = number_of<std::uint8_t>(set.substr(set.find('_') + 1));
  const auto address = IpAddress::parse(element.fields.at(0));
  return length && address ? std::optional(IpNetwork{*address, *length}) : std::nullopt;
}

/// `verdict` for what has an address of the sets "SETS4_n" and "SETS6_n" at `side`.
std::string by_length(const std::set<std::string> &network_sets, std::string_view sets,
                      std::string_view side, std::string_view verdict) {
  std::string rules;
  for (const auto &name : network_sets) {
    if (name.rfind(sets, 0) != 0) {
      continue;
    }
    const bool v4 = name.at(sets.size()) == '4';
    const auto length = number_of<unsigned>(std::string_view(name).substr(sets.size() + 2));
    const auto mask = mask_of(v4 ? IpFamily::V4 : IpFamily::V6, length.value_or(0));
    const bool host = length == (v4 ? 32U : 128U);
    rules += fmt::format("{} {}{} @{} {}\n", v4 ? "ip" : "ip6", side,
                         host ? "" : " & " + mask.to_string(), name, verdict);
  }
  return rules;
}

/// One a line, without table and chain.
std::string rules(const std::set<std::string> &network_sets, bool from_guest) {
  const std::string local = from_guest ? "s" : "d";
  const std::string remote = from_guest ? "d" : "s";
  std::string rules =
      by_length(network_sets, "remotes", remote + "addr", "counter name remote_drops drop");
  for (const auto &[ip, set] : {std::pair("ip", "flows4"), std::pair("ip6", "flows6")}) {
    rules += fmt::format("{0} {1}addr . {0} {2}addr . meta l4proto . th {1}port . th {2}port @{3} "
                         "counter name flow_drops drop\n",
                         ip, local, remote, set);
  }
  for (const auto &[side, set] :
       {std::pair(local, "ports_in"), std::pair(local, "ports_both"),
        std::pair(remote, "ports_out"), std::pair(remote, "ports_both")}) {
    rules += fmt::format("meta l4proto . th {}port @{} counter name port_drops drop\n", side, set);
  }
  // Isolation is one element of a set, the device's name: so the kernel ends it too. What sets a
  // link up passes; a guest asks the link for it, never one host.
  const std::string isolated = from_guest ? "iifname @isolated " : "oifname @isolated ";
  rules += isolated + "meta protocol arp accept\n";
  rules += isolated + "icmpv6 type { 133, 134, 135, 136 } ip6 hoplimit 255 accept\n";
  rules += from_guest ? isolated + "ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept\n" +
                            isolated + "ip6 daddr ff02::1:2 udp sport 546 udp dport 547 accept\n"
                      : isolated + "ip protocol udp udp sport 67 udp dport 68 accept\n" + isolated +
                            "ip6 nexthdr udp udp sport 547 udp dport 546 accept\n";
  rules += by_length(network_sets, "allowed", remote + "addr", "accept");
  return rules + isolated + "counter name isolation_drops drop\n";
}

} // namespace

bool is_safe_name(const std::string &name) {
  const auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= kMostNameBytes &&
         std::all_of(name.begin(), name.end(), safe);
}

std::string table_name(FilterMechanism mechanism, const std::string &tap) {
  return fmt::format("{} {}{}", mechanism == FilterMechanism::NftNetdev ? "netdev" : "bridge",
                     kTablePrefix, tap);
}

std::string table_setup(FilterMechanism mechanism, const std::string &tap,
                        const std::set<std::string> &network_sets) {
  const std::string name = table_name(mechanism, tap);
  std::string commands = fmt::format("add table {}\n", name);
  const auto add_set = [&](std::string_view set, std::string_view type) {
    commands += fmt::format("add set {} {} {{ type {}; flags timeout; size {}; }}\n", name, set,
                            type, kMostElements);
  };
  add_set("flows4", "ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service");
  add_set("flows6", "ipv6_addr . ipv6_addr . inet_proto . inet_service . inet_service");
  for (const auto set : kPortSets) {
    add_set(set, "inet_proto . inet_service");
  }
  add_set("isolated", "ifname");
  for (const auto &set : network_sets) {
    add_set(set, set.at(set.find('_') - 1) == '4' ? "ipv4_addr" : "ipv6_addr");
  }
  for (const auto counter : kCounters) {
    commands += fmt::format("add counter {} {}\n", name, counter);
  }
  struct Direction {
    const char *chain, *netdev_hook, *bridge_hook, *bridge_match;
    bool from_guest;
  };
  for (const auto &way : {Direction{"from_guest", "ingress", "prerouting", "iifname", true},
                          Direction{"to_guest", "egress", "postrouting", "oifname", false}}) {
    const bool netdev = mechanism == FilterMechanism::NftNetdev;
    const std::string hook = netdev ? fmt::format("{} device \"{}\"", way.netdev_hook, tap)
                                    : std::string(way.bridge_hook);
    commands += fmt::format("add chain {0} {1}_rules\n"
                            "add chain {0} {1} {{ type filter hook {2} priority -450; policy "
                            "accept; }}\nflush chain {0} {1}\nflush chain {0} {1}_rules\n",
                            name, way.chain, hook);
    if (!way.from_guest) {
      commands +=
          fmt::format("add rule {} {} meta mark {:#x} accept\n", name, way.chain, kOwnPacketMark);
    }
    commands += fmt::format(
        "add rule {} {} {}jump {}_rules\n", name, way.chain,
        netdev ? std::string() : fmt::format("{} \"{}\" ", way.bridge_match, tap), way.chain);
    const std::string lines = rules(network_sets, way.from_guest);
    for (std::size_t at = 0; at < lines.size();) {
      const auto end = lines.find('\n', at);
      commands += fmt::format("add rule {} {}_rules {}\n", name, way.chain,
                              std::string_view(lines).substr(at, end - at));
      at = end + 1;
    }
  }
  return commands;
}

std::string network_set(std::string_view sets, const IpNetwork &network) {
  return fmt::format("{}{}_{}", sets, network.address.family == IpFamily::V4 ? 4 : 6,
                     network.prefix_length);
}

bool is_network_set(std::string_view name) {
  return name.rfind("remotes", 0) == 0 || name.rfind("allowed", 0) == 0;
}

NftPlace place_of(const NetworkRule &rule, const std::string &tap) {
  if (const auto *flow = std::get_if<FlowRule>(&rule)) {
    const auto &[protocol, local, remote] = flow->flow;
    // One element serves both directions: the chain towards the guest looks it up mirrored.
    return {local.address.family == IpFamily::V4 ? "flows4" : "flows6",
            fmt::format("{} . {} . {} . {} . {}", local.address.to_string(),
                        remote.address.to_string(), protocol, local.port, remote.port)};
  }
  if (const auto *remote = std::get_if<RemoteRule>(&rule)) {
    return {network_set("remotes", remote->remote), remote->remote.address.to_string()};
  }
  if (const auto *port = std::get_if<PortRule>(&rule)) {
    return {std::string(kPortSets[static_cast<std::size_t>(port->direction)]),
            fmt::format("{} . {}", port->protocol, port->port)};
  }
  return {"isolated", '"' + tap + '"'};
}

std::optional<NetworkRule> rule_in(std::string_view set, const NftElement &element) {
  const auto &fields = element.fields;
  if ((set == "flows4" || set == "flows6") && fields.size() == 5) {
    const auto local = IpAddress::parse(fields[0]);
    const auto remote = IpAddress::parse(fields[1]);
    const auto protocol = number_of<std::uint8_t>(fields[2]);
    const auto local_port = number_of<std::uint16_t>(fields[3]);
    const auto remote_port = number_of<std::uint16_t>(fields[4]);
    if (local && remote && protocol && local_port && remote_port) {
      return FlowRule{{*protocol, {*local, *local_port}, {*remote, *remote_port}}};
    }
  }
  if (set.rfind("remotes", 0) == 0 && fields.size() == 1) {
    if (const auto network = network_in(set, element)) {
      return RemoteRule{*network};
    }
  }
  const auto *const ports = std::find(std::begin(kPortSets), std::end(kPortSets), set);
  if (ports != std::end(kPortSets) && fields.size() == 2) {
    const auto protocol = number_of<std::uint8_t>(fields[0]);
    const auto port = number_of<std::uint16_t>(fields[1]);
    if (protocol && port) {
      return PortRule{*protocol, *port, static_cast<RuleDirection>(ports - std::begin(kPortSets))};
    }
  }
  return std::nullopt;
}

std::optional<RuleInForce> isolation_in(const NftTable &table) {
  const auto isolated = table.sets.find("isolated");
  if (isolated == table.sets.end() || isolated->second.empty()) {
    return std::nullopt;
  }
  IsolationRule rule;
  for (const auto &[set, elements] : table.sets) {
    for (const auto &element : elements) {
      if (set.rfind("allowed", 0) == 0 && element.fields.size() == 1) {
        if (const auto network = network_in(set, element)) {
          rule.allowed.push_back(*network);
        }
      }
    }
  }
  std::sort(rule.allowed.begin(), rule.allowed.end());
  return RuleInForce{std::move(rule), isolated->second.front().left};
}

} // namespace outguard::respond
