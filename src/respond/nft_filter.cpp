#include "respond/nft_filter.h"

#include <algorithm>
#include <charconv>
#include <mutex>

#include <fmt/format.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "hypervisor/network_namespace.h"
#include "respond/packet_injector.h"

namespace outguard::respond {

namespace {

constexpr std::size_t kMostNameBytes = 15; // IFNAMSIZ less the NUL
/// Elements a set holds. The kernel refuses more, and the rule is then reported as failed.
constexpr unsigned kMostElements = 65536;
constexpr std::string_view kPortSets[] = {"ports_in", "ports_out", "ports_both"};
constexpr std::string_view kCounters[] = {"flow_drops", "remote_drops", "port_drops",
                                          "isolation_drops"};

bool is_safe_name(const std::string &name) {
  const auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= kMostNameBytes &&
         std::all_of(name.begin(), name.end(), safe);
}

bool is_network_set(std::string_view name) {
  return name.rfind("remotes", 0) == 0 || name.rfind("allowed", 0) == 0;
}

std::string network_set(std::string_view sets, const IpNetwork &network) {
  return fmt::format("{}{}_{}", sets, network.address.family == IpFamily::V4 ? 4 : 6,
                     network.prefix_length);
}

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

/// The set and the element of it that a rule is; not for isolation, which is several.
struct Place {
  std::string set, element;
};

Place place_of(const NetworkRule &rule, const std::string &tap) {
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

std::optional<IpNetwork> network_in(std::string_view set, const NftElement &element) {
  const auto length = number_of<std::uint8_t>(set.substr(set.find('_') + 1));
  const auto address = IpAddress::parse(element.fields.at(0));
  return length && address ? std::optional(IpNetwork{*address, *length}) : std::nullopt;
}

/// nullopt: none of ours, or part of an isolation.
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

} // namespace

Result<std::unique_ptr<NftFilter>> NftFilter::make(const Fd &netns, const std::string &tap,
                                                   FilterMechanism mechanism) {
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
  return std::unique_ptr<NftFilter>(
      new NftFilter(std::move(*nft), std::move(*devices), tap, mechanism));
}

Result<std::unique_ptr<TapFilter>> NftFilter::open(const Fd &netns, const std::string &tap,
                                                   FilterMechanism mechanism) {
  auto made = make(netns, tap, mechanism);
  if (!made) {
    return tl::unexpected(made.error());
  }
  if (auto able = (*made)->apply(""); !able) {
    return tl::unexpected(able.error());
  }
  return std::move(*made);
}

Result<std::unique_ptr<TapFilter>> NftFilter::find(const Fd &netns, const std::string &tap,
                                                   FilterMechanism mechanism) {
  auto made = make(netns, tap, mechanism);
  if (!made) {
    return tl::unexpected(made.error());
  }
  auto table = (*made)->read();
  if (!table) {
    return tl::unexpected(table.error());
  }
  return table->sets.empty() ? nullptr : std::unique_ptr<TapFilter>(std::move(*made));
}

std::string NftFilter::table() const {
  return fmt::format("{} outguard_{}",
                     mechanism_ == FilterMechanism::NftNetdev ? "netdev" : "bridge", tap_);
}

Result<NftTable> NftFilter::read() const {
  const auto text = nft_.run("list table " + table() + "\n");
  if (!text) {
    const bool absent = text.error().message.find("No such file") != std::string::npos;
    return absent ? Result<NftTable>(NftTable{}) : tl::unexpected(text.error());
  }
  return parse_nft_table(*text);
}

/// Since Linux 6.16 a chain may name a device that is not there, and what is routed, or switched by
/// Open vSwitch, passes no bridge hook: either would filter nothing.
Result<int> NftFilter::device_to_hook() const {
  struct ifreq request {};
  tap_.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (::ioctl(devices_.socket(), SIOCGIFINDEX, &request) != 0) {
    return fail(ErrorCode::NotFound, "no network device " + tap_);
  }
  const int device = request.ifr_ifindex;
  if (mechanism_ == FilterMechanism::NftBridge) {
    const auto bridge = devices_.bridge_of(device);
    if (!bridge) {
      return tl::unexpected(bridge.error());
    }
    if (*bridge == 0) {
      return fail(ErrorCode::Unsupported, "the tap is no port of a bridge");
    }
  }
  return device;
}

/// `verdict` for what has an address of the sets "SETS4_n" and "SETS6_n" at `side`.
std::string NftFilter::by_length(std::string_view sets, std::string_view side,
                                 std::string_view verdict) const {
  std::string rules;
  for (const auto &name : network_sets_) {
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
std::string NftFilter::rules(bool from_guest) const {
  const std::string local = from_guest ? "s" : "d";
  const std::string remote = from_guest ? "d" : "s";
  std::string rules = by_length("remotes", remote + "addr", "counter name remote_drops drop");
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
  rules += by_length("allowed", remote + "addr", "accept");
  return rules + isolated + "counter name isolation_drops drop\n";
}

/// Creates what is missing and makes the rules anew; the elements stay.
std::string NftFilter::setup() const {
  const std::string name = table();
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
  for (const auto &set : network_sets_) {
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
    const bool netdev = mechanism_ == FilterMechanism::NftNetdev;
    const std::string hook = netdev ? fmt::format("{} device \"{}\"", way.netdev_hook, tap_)
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
        netdev ? std::string() : fmt::format("{} \"{}\" ", way.bridge_match, tap_), way.chain);
    const std::string lines = rules(way.from_guest);
    for (std::size_t at = 0; at < lines.size();) {
      const auto end = lines.find('\n', at);
      commands += fmt::format("add rule {} {}_rules {}\n", name, way.chain,
                              std::string_view(lines).substr(at, end - at));
      at = end + 1;
    }
  }
  return commands;
}

Result<void> NftFilter::apply(const std::string &commands) {
  const auto device = device_to_hook();
  if (!device) {
    return tl::unexpected(device.error());
  }
  static std::mutex one_change_at_a_time; // as in tc_filter.cpp: the rules name all sets there are
  const std::lock_guard lock(one_change_at_a_time);
  // A tap that was made again has lost its chains, and an operator's reload may have flushed all.
  if (*device == set_up_on_ && !commands.empty() && nft_.run(commands)) {
    return {};
  }
  const auto there = read();
  if (!there) {
    return tl::unexpected(there.error());
  }
  for (const auto &[set, elements] : there->sets) {
    if (is_network_set(set)) {
      network_sets_.insert(set);
    }
  }
  const auto done = nft_.run(setup() + commands);
  if (!done) {
    const bool full = done.error().message.find("Too many open files") != std::string::npos;
    return fail(full ? ErrorCode::LimitReached : ErrorCode::Unsupported, done.error().message);
  }
  set_up_on_ = *device;
  return {};
}

std::string NftFilter::element_commands(const NetworkRule &rule, std::chrono::seconds ttl) const {
  std::string commands;
  if (const auto *isolation = std::get_if<IsolationRule>(&rule)) {
    for (const auto &set : network_sets_) {
      if (set.rfind("allowed", 0) == 0) {
        commands += fmt::format("flush set {} {}\n", table(), set);
      }
    }
    for (const auto &network : isolation->allowed) {
      commands +=
          fmt::format("add element {} {} {{ {} timeout {}s }}\n", table(),
                      network_set("allowed", network), network.address.to_string(), ttl.count());
    }
  }
  // add, delete, add: adding alone would leave the old time to live of one that is there.
  const auto place = place_of(rule, tap_);
  return commands + fmt::format("add element {0} {1} {{ {2} timeout {3}s }}\n"
                                "delete element {0} {1} {{ {2} }}\n"
                                "add element {0} {1} {{ {2} timeout {3}s }}\n",
                                table(), place.set, place.element, ttl.count());
}

Result<void> NftFilter::add(const NetworkRule &rule, std::chrono::seconds ttl) {
  if (auto checked = check_rule(rule, ttl); !checked) {
    return checked;
  }
  std::set<std::string> needed;
  if (const auto *remote = std::get_if<RemoteRule>(&rule)) {
    needed.insert(network_set("remotes", remote->remote));
  } else if (const auto *isolation = std::get_if<IsolationRule>(&rule)) {
    for (const auto &network : isolation->allowed) {
      needed.insert(network_set("allowed", network));
    }
  }
  if (!std::includes(network_sets_.begin(), network_sets_.end(), needed.begin(), needed.end())) {
    network_sets_.merge(needed);
    set_up_on_ = 0;
  }
  if (auto applied = apply(element_commands(rule, ttl)); !applied) {
    return applied;
  }
  const auto left = left_in_set(rule); // the chains are there, or apply() would have made them
  if (!left) {
    return tl::unexpected(left.error());
  }
  return *left ? Result<void>()
               : fail(ErrorCode::SystemFailed, "the filter's rule was not there when read back");
}

/// Whether the chains are there: elements alone filter nothing.
bool NftFilter::is_hooked() const {
  for (const char *chain : {"from_guest", "to_guest"}) {
    const auto text = nft_.run(fmt::format("list chain {} {}\n", table(), chain));
    if (!text || text->find("jump") == std::string::npos ||
        (mechanism_ == FilterMechanism::NftNetdev && text->find("device") == std::string::npos)) {
      return false;
    }
  }
  return true;
}

Result<std::optional<std::chrono::seconds>> NftFilter::remaining(const NetworkRule &rule) const {
  return is_hooked() ? left_in_set(rule) : std::optional<std::chrono::seconds>();
}

Result<std::optional<std::chrono::seconds>> NftFilter::left_in_set(const NetworkRule &rule) const {
  if (std::holds_alternative<IsolationRule>(rule)) {
    return read().map([&](const NftTable &table) -> std::optional<std::chrono::seconds> {
      const auto there = isolation_in(table);
      return there && there->rule == rule ? std::optional(there->left) : std::nullopt;
    });
  }
  const auto place = place_of(rule, tap_);
  const auto got =
      nft_.run(fmt::format("get element {} {} {{ {} }}\n", table(), place.set, place.element));
  if (!got) {
    // No table, no set or no element: not in force, in each case.
    const bool absent = got.error().message.find("No such file") != std::string::npos;
    return absent ? Result<std::optional<std::chrono::seconds>>(std::nullopt)
                  : tl::unexpected(got.error());
  }
  const auto left = parse_nft_expiry(*got);
  return left ? Result<std::optional<std::chrono::seconds>>(left)
              : fail(ErrorCode::InvalidInput, "nftables shows a rule without an end");
}

Result<void> NftFilter::remove(const NetworkRule &rule) {
  const auto left = left_in_set(rule);
  if (!left || !*left) {
    return left.map([](const auto &) {});
  }
  // It may expire right now: adding first makes deleting what is not there no error.
  const auto place = place_of(rule, tap_);
  const auto done = nft_.run(fmt::format("add element {0} {1} {{ {2} timeout 1s }}\n"
                                         "delete element {0} {1} {{ {2} }}\n",
                                         table(), place.set, place.element));
  return done.map([](const auto &) {});
}

Result<std::vector<RuleInForce>> NftFilter::list() const {
  const auto table = read();
  if (!table) {
    return tl::unexpected(table.error());
  }
  std::vector<RuleInForce> rules;
  if (table->sets.empty() || !is_hooked()) {
    return rules;
  }
  for (const auto &[set, elements] : table->sets) {
    for (const auto &element : elements) {
      if (auto rule = rule_in(set, element)) {
        rules.push_back({std::move(*rule), element.left});
      }
    }
  }
  if (auto isolation = isolation_in(*table)) {
    rules.push_back(std::move(*isolation));
  }
  return rules;
}

Result<FilterDrops> NftFilter::drops() const {
  return read().map([](const NftTable &table) {
    const auto count = [&](const char *name) {
      const auto found = table.packets.find(name);
      return found == table.packets.end() ? 0 : found->second;
    };
    return FilterDrops{count("flow_drops"), count("remote_drops"), count("port_drops"),
                       count("isolation_drops"), 0};
  });
}

Result<void> NftFilter::remove_all() {
  set_up_on_ = 0;
  network_sets_.clear();
  // Adding first makes deleting what is not there no error.
  const auto done = nft_.run(fmt::format("add table {0}\ndelete table {0}\n", table()));
  return done.map([](const auto &) {});
}

} // namespace outguard::respond
