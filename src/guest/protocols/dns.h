#pragma once
// DNS messages (RFC 1035), also of mDNS and LLMNR: the names that are asked for, and the names and
// addresses that are answered. Bounded in records looked at and in what is observed. Pure.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/observable.h"

namespace outguard::guest {

/// How much a message must look like DNS: on its own ports, nothing but its structure counts;
/// anywhere else its flags, counts, class and name must be plausible too, and a query must end with
/// its end.
enum class DnsStrictness : std::uint8_t { OwnPort, AnyPort };

/// Of which messages the questions are observed. What is answered is observed always.
enum class DnsNames : std::uint8_t { OfQueries, OfQueriesAndAnswers };

[[nodiscard]] constexpr bool is_dns_port(std::uint16_t port) {
  return port == 53 || port == 5353 || port == 5355; // DNS, mDNS, LLMNR
}

/// As it is with every query and answer of one question, and with one of millions of others: cheap
/// enough for all the datagrams of a flow.
[[nodiscard]] inline bool begins_as_dns(std::span<const std::uint8_t> datagram) {
  constexpr std::size_t kLeast = 17; // header, root, type, class
  return datagram.size() >= kLeast && (datagram[2] & 0x78) == 0 && (datagram[3] & 0x40) == 0 &&
         datagram[4] == 0 && datagram[5] == 1; // opcode, Z, number of questions
}

enum class DnsLook : std::uint8_t {
  NotDns,
  Message,
  Truncated, ///< DNS, but the bytes end within the questions; those before were observed
};

/// Can a message that starts with `bytes` be DNS on any port? False only when it cannot.
[[nodiscard]] bool may_be_dns(std::span<const std::uint8_t> bytes);

/// Observes the names of the questions, and of the answers of class IN, in all their sections: A
/// and AAAA addresses and the address hints of SVCB and HTTPS; the targets of CNAME, DNAME, NS,
/// PTR, MX, SRV, SVCB and HTTPS; the owners, when a message has no question (mDNS, zone transfers).
/// An `ech` parameter is noted as blindness. The root is not observed. See dns_name.h for names.
[[nodiscard]] DnsLook look_at_dns(std::span<const std::uint8_t> message, DnsStrictness strictness,
                                  DnsNames names, std::string &scratch, ObservableSink &sink);

} // namespace outguard::guest
