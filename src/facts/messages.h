#pragma once
// What the privileged side and a sensor say to each other over one SOCK_SEQPACKET pair: a Request
// or a Report a message. A Report that answers carries its Request's id; one that nobody asked for,
// id 0.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "facts/reports.h"
#include "facts/requests.h"

namespace outguard {

/// Fits the default socket buffer (net.core.wmem_max 212,992), so no host needs a setting.
inline constexpr std::size_t kMaxMessageBytes = std::size_t{192} * 1024;
/// A report that nobody asked for may be this long; the supervisor keeps many of them.
inline constexpr std::size_t kMaxEventBytes = std::size_t{64} * 1024;
/// Descriptors one message may carry (the kernel's SCM_MAX_FD is 253).
inline constexpr std::size_t kMaxMessageFds = 64;

template <class Body> struct Envelope {
  std::uint32_t id = 0;
  Body body;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.id, self.body);
  }
};
using RequestEnvelope = Envelope<Request>;
using ReportEnvelope = Envelope<Report>;

[[nodiscard]] std::vector<std::uint8_t> encode(const RequestEnvelope &message);
[[nodiscard]] std::vector<std::uint8_t> encode(const ReportEnvelope &message);
/// nullopt: not a message of this version, or with bytes left over. A report whose plain strings
/// are not printable as they stand is refused too: what a guest or feed chose travels as GuestText.
[[nodiscard]] std::optional<RequestEnvelope> decode_request(std::span<const std::uint8_t> bytes);
[[nodiscard]] std::optional<ReportEnvelope> decode_report(std::span<const std::uint8_t> bytes);

} // namespace outguard
