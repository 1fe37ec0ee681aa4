#pragma once
// An indicator in canonical form: what the index hashes and compares. Equal keys are the same
// indicator, whatever a feed's spelling was. Value type.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "facts/flow_seen.h"
#include "intel/ip_network.h"

namespace outguard::intel {

/// Whether a domain indicator also means the names under it. Of no meaning for other types.
enum class DomainScope : std::uint8_t { Exact, WithSubdomains };

struct IndicatorKey {
  IndicatorType type = IndicatorType::Address;
  std::uint8_t prefix = 0; ///< networks only
  /// Address, Network: 4 or 16 octets. Endpoint: the octets, then the port, big-endian.
  /// Domain, Url: canonical text. UrlPath: from the '/' on. The rest: lower-case text, as observed.
  std::string bytes;

  [[nodiscard]] static IndicatorKey address(const IpAddress &address);
  /// A network of full prefix length is an address.
  [[nodiscard]] static IndicatorKey network(const IpNetwork &network);
  [[nodiscard]] static IndicatorKey endpoint(const Endpoint &endpoint);

  auto operator<=>(const IndicatorKey &) const = default;
};

/// The canonical text of a key; nullopt when the bytes cannot be of that type (a damaged image).
[[nodiscard]] std::optional<std::string> key_text(IndicatorType type, std::uint8_t prefix,
                                                  std::string_view bytes);

/// Views octets as the text type that keys use.
[[nodiscard]] inline std::string_view octet_view(const IpAddress &address) {
  const auto octets = address.octets();
  return {reinterpret_cast<const char *>(octets.data()), octets.size()};
}

} // namespace outguard::intel
