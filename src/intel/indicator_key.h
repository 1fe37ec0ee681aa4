#pragma once
// An indicator in canonical form: what the index hashes and compares. Equal keys are the same
// indicator, whatever a feed's spelling was. Value type.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "facts/flow_seen.h"
#include "intel/ip_network.h"

namespace outguard::intel {

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

/// Digests are kept in an index as binary: half the size. Room for the longest, SHA-256.
using DigestBytes = std::array<char, 32>;
/// Of types that are digests, else 0.
[[nodiscard]] std::size_t digest_bytes(IndicatorType type);
/// The bytes that an index keeps of a key: for a digest decoded into `scratch`, else `bytes` as
/// they stand. nullopt: no such digest.
[[nodiscard]] std::optional<std::string_view>
stored_bytes(IndicatorType type, std::string_view bytes, DigestBytes &scratch);
/// key_text() of what stored_bytes() gave.
[[nodiscard]] std::optional<std::string> stored_text(IndicatorType type, std::uint8_t prefix,
                                                     std::string_view stored);

/// Views octets as the text type that keys use.
[[nodiscard]] inline std::string_view octet_view(const IpAddress &address) {
  const auto octets = address.octets();
  return {reinterpret_cast<const char *>(octets.data()), octets.size()};
}

} // namespace outguard::intel
