#pragma once
// The canonical form of an HTTP URL, the same for indicators and for what is observed: scheme and
// host in lower case, the host in A-labels, no user, no default port, no fragment, never an empty
// path, no dot segments in it, and one way to percent-encode (RFC 3986, 6.2.2).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ip_address.h"
#include "intel/reject_reason.h"

namespace outguard::intel {

inline constexpr std::size_t kMaxUrlBytes = 2048; ///< longer ones are rare and hardly indicators

/// Host and port of a canonical URL, and the '/' behind them.
[[nodiscard]] std::string_view url_authority(std::string_view canonical);

/// Path and query, from the '/' or '?' on, in canonical form; nullopt: a blank or control
/// character.
[[nodiscard]] std::optional<std::string> canonical_target(std::string_view target);

/// What is observed was taken by a server: blanks and control characters in the target are escaped,
/// and what stands behind a prefix may be long.
enum class UrlOrigin : std::uint8_t { Listed, Observed };
inline constexpr std::size_t kMaxObservedUrlBytes = std::size_t{64} * 1024;

/// Of an observed URL, whatever its host is; empty: none.
[[nodiscard]] std::string observed_target(std::string_view url);

struct Url {
  std::string scheme;               ///< "http", "https", or empty: either
  std::string host;                 ///< name, or address (IPv6 in brackets)
  std::optional<IpAddress> address; ///< set when the host is one
  std::optional<std::uint16_t> port;
  std::string target; ///< path and query, from the '/'

  /// `https?://host[:port]/...`, or without scheme when it had none.
  [[nodiscard]] static Parsed<Url> parse(std::string_view text,
                                         UrlOrigin origin = UrlOrigin::Listed);
  [[nodiscard]] std::string to_string() const;
  /// The form that matches either scheme: no scheme, and neither port 80 nor 443.
  [[nodiscard]] std::string without_scheme() const;
};

} // namespace outguard::intel
