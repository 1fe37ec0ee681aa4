#include "respond/nft_filter.h"

#include <algorithm>
#include <mutex>

#include <fmt/format.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "hypervisor/network_namespace.h"
#include "respond/nft_rules.h"

namespace outguard::respond {

namespace {

/// Where the kernel's tables are full it says so with ENFILE.
bool says(const Error &error, const char *words) {
  return error.message.find(words) != std::string::npos;
}
constexpr const char *kAbsent = "No such file";
constexpr const char *kFull = "Too many open files";

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
  if (auto able = (*made)->apply({}); !able) {
    return tl::unexpected(able.error());
  }
  return std::move(*made);
}

Result<void> NftFilter::probe(const Fd &netns, const std::string &tap, FilterMechanism mechanism) {
  auto made = make(netns, tap, mechanism);
  if (!made) {
    return tl::unexpected(made.error());
  }
  const auto device = (*made)->device_to_hook();
  return device ? (*made)->nft_.check(table_setup(mechanism, tap, {}))
                : tl::unexpected(device.error());
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

/// A table of this name without our sets is somebody else's.
Result<void> NftFilter::remove_dead(const Fd &netns) {
  const auto nft = NftContext::open(netns);
  if (!nft) {
    return tl::unexpected(nft.error());
  }
  for (const auto mechanism : {FilterMechanism::NftNetdev, FilterMechanism::NftBridge}) {
    const std::string begin = "table " + table_name(mechanism, "");
    const auto tables = nft->run("list tables " + begin.substr(6, begin.find(' ', 6) - 6) + "\n");
    if (!tables) {
      return tl::unexpected(tables.error());
    }
    for (auto at = tables->find(begin); at != std::string::npos; at = tables->find(begin, at)) {
      at += begin.size();
      const auto name = tables->substr(at, tables->find('\n', at) - at);
      const auto made = make(netns, name, mechanism);
      if (!made || (*made)->device_index() != 0) {
        continue;
      }
      const auto table = (*made)->read();
      if (table && table->sets.contains("flows4") && table->sets.contains("isolated")) {
        if (auto removed = (*made)->remove_all(); !removed) {
          return removed;
        }
      }
    }
  }
  return {};
}

std::string NftFilter::table() const {
  return table_name(mechanism_, tap_);
}

Result<NftTable> NftFilter::read() const {
  const auto text = nft_.run("list table " + table() + "\n");
  if (!text) {
    return says(text.error(), kAbsent) ? Result<NftTable>(NftTable{})
                                       : tl::unexpected(text.error());
  }
  return parse_nft_table(*text);
}

int NftFilter::device_index() const {
  struct ifreq request {};
  tap_.copy(request.ifr_name, sizeof request.ifr_name - 1);
  return ::ioctl(devices_.socket(), SIOCGIFINDEX, &request) == 0 ? request.ifr_ifindex : 0;
}

/// Since Linux 6.16 a chain may name a device that is not there, and what is routed, or switched by
/// Open vSwitch, passes no bridge hook: either would filter nothing.
Result<int> NftFilter::device_to_hook() const {
  const int device = device_index();
  if (device == 0) {
    return fail(ErrorCode::NotFound, "no network device " + tap_);
  }
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

Result<void> NftFilter::apply(const std::function<std::string()> &commands) {
  const auto device = device_to_hook();
  if (!device) {
    return tl::unexpected(device.error());
  }
  static std::mutex one_change_at_a_time; // as in tc_filter.cpp: the rules name all sets there are
  const std::lock_guard lock(one_change_at_a_time);
  // A tap that was made again has lost its chains, and an operator's reload may have flushed all.
  if (*device == set_up_on_ && commands && nft_.run(commands())) {
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
  const auto done =
      nft_.run(table_setup(mechanism_, tap_, network_sets_) + (commands ? commands() : ""));
  if (!done) {
    return fail(says(done.error(), kFull) ? ErrorCode::LimitReached : ErrorCode::Unsupported,
                done.error().message);
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
  if (std::holds_alternative<IsolationRule>(rule)) {
    set_up_on_ = 0; // another filter of this tap may have made sets that are to be emptied now
  }
  if (auto applied = apply([&] { return element_commands(rule, ttl); }); !applied) {
    return applied;
  }
  const auto left = left_in_set(rule); // the chains are there, or apply() would have made them
  if (!left) {
    return tl::unexpected(left.error());
  }
  return *left ? Result<void>()
               : fail(ErrorCode::SystemFailed, "the filter's rule was not there when read back");
}

/// Whether the chains are there and see the tap: elements alone filter nothing.
bool NftFilter::is_hooked() const {
  if (!device_to_hook()) {
    return false;
  }
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
    return says(got.error(), kAbsent) ? Result<std::optional<std::chrono::seconds>>(std::nullopt)
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
