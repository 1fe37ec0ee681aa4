#pragma once
// The words of our nftables tables: names, the sets and chains of a tap's table, a rule as an
// element of a set, and back. Only our own words and checked names get into a command. Pure
// functions.

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "respond/nft_text.h"
#include "respond/tap_filter.h"

namespace outguard::respond {

inline constexpr std::string_view kTablePrefix = "outguard_";

/// Whether nftables has a word for a tap of this name.
[[nodiscard]] bool is_safe_name(const std::string &name);
/// "netdev outguard_tap0".
[[nodiscard]] std::string table_name(FilterMechanism mechanism, const std::string &tap);
/// Creates what is missing and makes the rules anew; the elements stay.
[[nodiscard]] std::string table_setup(FilterMechanism mechanism, const std::string &tap,
                                      const std::set<std::string> &network_sets);

/// "remotes4_24", "allowed6_128": `sets` is "remotes" or "allowed". A set a prefix length, since
/// intervals of nftables must not overlap and rules may.
[[nodiscard]] std::string network_set(std::string_view sets, const IpNetwork &network);
[[nodiscard]] bool is_network_set(std::string_view name);

/// The set and the element of it that a rule is; of isolation the one that puts it in force.
struct NftPlace {
  std::string set, element;
};
[[nodiscard]] NftPlace place_of(const NetworkRule &rule, const std::string &tap);
/// nullopt: none of ours, or part of an isolation.
[[nodiscard]] std::optional<NetworkRule> rule_in(std::string_view set, const NftElement &element);
[[nodiscard]] std::optional<RuleInForce> isolation_in(const NftTable &table);

} // namespace outguard::respond
