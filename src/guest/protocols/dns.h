#pragma once
// DNS messages (RFC 1035): the names that are asked for. Compression pointers only lead backwards,
// so no message can keep the parser busy. Pure.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/observable.h"

namespace outguard::guest {

/// How much a message must look like DNS: on its own ports, nothing but its structure counts;
/// anywhere else its flags, counts, class and name must be plausible too, and a query must end with
/// its end.
enum class DnsStrictness : std::uint8_t { OwnPort, AnyPort };

enum class DnsNames : std::uint8_t { OfQueries, OfQueriesAndAnswers };

[[nodiscard]] constexpr bool is_dns_port(std::uint16_t port) {
  return port == 53 || port == 5353 || port == 5355; // DNS, mDNS, LLMNR
}

enum class DnsLook : std::uint8_t {
  NotDns,
  Message,
  Truncated, ///< DNS, but the bytes end within the questions; those before were observed
};

/// Observes the names of the questions: lower-case, without the final dot, as text of the master
/// file format (a dot within a label is "\.", odd bytes are \DDD). The root is not observed.
[[nodiscard]] DnsLook look_at_dns(std::span<const std::uint8_t> message, DnsStrictness strictness,
                                  DnsNames names, std::string &scratch, ObservableSink &sink);

} // namespace outguard::guest
