#include "intel/reserved_ranges.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <iterator>

namespace outguard::intel {

namespace {

struct Range {
  IpNetwork network;
  RejectReason reason;
};

constexpr IpAddress v4(std::uint8_t a, std::uint8_t b = 0, std::uint8_t c = 0) {
  return {IpFamily::V4, {a, b, c}};
}
constexpr IpAddress v6(std::uint16_t first, std::uint16_t second = 0) {
  const auto high = [](std::uint16_t word) { return static_cast<std::uint8_t>(word >> 8); };
  const auto low = [](std::uint16_t word) { return static_cast<std::uint8_t>(word & 0xff); };
  return {IpFamily::V6, {high(first), low(first), high(second), low(second)}};
}

// IANA special-purpose address registries (RFC 6890 and its updates).
constexpr auto kReserved = RejectReason::ReservedRange;
constexpr auto kPrivate = RejectReason::PrivateRange;
constexpr auto kDocumentation = RejectReason::DocumentationRange;
constexpr Range kRanges[] = {
    {{v4(0), 8}, kReserved},                    // "this network", RFC 1122
    {{v4(127), 8}, kReserved},                  // loopback
    {{v4(169, 254), 16}, kReserved},            // link-local
    {{v4(192, 0, 0), 24}, kReserved},           // IETF assignments
    {{v4(224), 4}, kReserved},                  // multicast
    {{v4(240), 4}, kReserved},                  // future use, and broadcast
    {{v4(10), 8}, kPrivate},                    // RFC 1918
    {{v4(172, 16), 12}, kPrivate},              //
    {{v4(192, 168), 16}, kPrivate},             //
    {{v4(100, 64), 10}, kPrivate},              // carrier NAT, RFC 6598
    {{v4(198, 18), 15}, kPrivate},              // benchmarking, RFC 2544
    {{v4(192, 0, 2), 24}, kDocumentation},      // RFC 5737
    {{v4(198, 51, 100), 24}, kDocumentation},   //
    {{v4(203, 0, 113), 24}, kDocumentation},    //
    {{v6(0), 96}, kReserved},                   // unspecified, loopback, IPv4-compatible
    {{v6(0xfe80), 10}, kReserved},              // link-local
    {{v6(0xff00), 8}, kReserved},               // multicast
    {{v6(0xfc00), 7}, kPrivate},                // unique local, RFC 4193
    {{v6(0x2001, 0x0db8), 32}, kDocumentation}, // RFC 3849
    {{v6(0x3fff), 20}, kDocumentation},         // RFC 9637
};

/// First octets that some range has: most addresses of a feed are in none.
constexpr std::array<bool, 256> first_octets(IpFamily family) {
  std::array<bool, 256> found{};
  for (const auto &range : kRanges) {
    const auto &[address, prefix] = range.network;
    const std::size_t covered = prefix < 8 ? std::size_t{1} << (8 - prefix) : 1;
    for (std::size_t i = 0; address.family == family && i < covered; ++i) {
      found[address.bytes[0] + i] = true;
    }
  }
  return found;
}
constexpr auto kFirstOctetsV4 = first_octets(IpFamily::V4);
constexpr auto kFirstOctetsV6 = first_octets(IpFamily::V6);

/// A name and all under it.
struct SpecialName {
  std::string_view name;
  bool liftable;
};

// IANA special-use domain names (RFC 6761 and its updates), and what resolvers make up.
constexpr SpecialName kSpecialNames[] = {
    {"localhost", false},    {"localdomain", false}, {"invalid", false},
    {"in-addr.arpa", false}, {"ip6.arpa", false},    {"home.arpa", true}, // RFC 8375
    {"local", true},                                                      // RFC 6762
    {"internal", true},                                                   // ICANN, 2024
    {"test", true},          {"example", true},      {"example.com", true},
    {"example.net", true},   {"example.org", true},
};

constexpr std::size_t kTailBytes = 4; ///< no special name is shorter
using Tail = std::array<char, kTailBytes>;

constexpr Tail tail_of(std::string_view name) {
  const auto end = name.substr(name.size() - kTailBytes);
  return {end[0], end[1], end[2], end[3]};
}

/// Compared first: nearly no name has one of them.
constexpr auto kTails = [] {
  std::array<std::uint32_t, std::size(kSpecialNames)> tails{};
  std::transform(std::begin(kSpecialNames), std::end(kSpecialNames), tails.begin(),
                 [](const SpecialName &special) {
                   return std::bit_cast<std::uint32_t>(tail_of(special.name));
                 });
  return tails;
}();

bool is_at_or_under(std::string_view name, std::string_view parent) {
  return name.ends_with(parent) &&
         (name.size() == parent.size() || name[name.size() - parent.size() - 1] == '.');
}

} // namespace

bool is_reserved_name(std::string_view name, ReservedPolicy policy) {
  if (name.size() < kTailBytes) {
    return false;
  }
  const auto tail = std::bit_cast<std::uint32_t>(tail_of(name));
  for (std::size_t i = 0; i < kTails.size(); ++i) {
    const auto &special = kSpecialNames[i];
    const bool lifted = policy == ReservedPolicy::Allow && special.liftable;
    if (kTails[i] == tail && !lifted && is_at_or_under(name, special.name)) {
      return true;
    }
  }
  return false;
}

std::optional<RejectReason> reserved_reason(const IpNetwork &network, ReservedPolicy policy) {
  const auto &first = network.address.family == IpFamily::V4 ? kFirstOctetsV4 : kFirstOctetsV6;
  if (network.prefix >= 8 && !first[network.address.bytes[0]]) {
    return std::nullopt;
  }
  for (const auto &range : kRanges) {
    const bool lifted = policy == ReservedPolicy::Allow && range.reason != kReserved;
    if (!lifted && range.network.overlaps(network)) {
      return range.reason;
    }
  }
  return std::nullopt;
}

} // namespace outguard::intel
