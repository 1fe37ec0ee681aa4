#include "sensor/name_servers.h"

#include <algorithm>

namespace outguard::sensor {

namespace {

constexpr std::uint16_t kDns = 53;

bool is_name_port(std::uint16_t port) {
  constexpr std::uint16_t kDnsOverTls = 853, kMdns = 5353, kLlmnr = 5355;
  return port == kDns || port == kDnsOverTls || port == kMdns || port == kLlmnr;
}

bool serves(const SocketSeen &socket) {
  const bool is_ours = socket.protocol == static_cast<std::uint8_t>(IpProtocol::Udp) ||
                       socket.protocol == static_cast<std::uint8_t>(IpProtocol::Tcp);
  return is_ours && !socket.raw && socket.local.port == kDns;
}

} // namespace

bool NameServers::is_name_resolution(const FlowSeen &flow) {
  constexpr auto kEncrypted = static_cast<std::uint8_t>(Blindness::DnsOverHttps) |
                              static_cast<std::uint8_t>(Blindness::DnsOverTls);
  return is_name_port(flow.tuple.remote.port) || is_name_port(flow.tuple.local.port) ||
         flow.app_protocol == "dns" || (flow.blind & kEncrypted) != 0;
}

bool NameServers::hold(const Attribution &attribution, guest::LinuxGuest &guest,
                       MonotonicTime now) {
  if (read_ == MonotonicTime{} || now - read_ >= kFresh) {
    const auto seen = guest.sockets();
    processes_.clear();
    for (const SocketSeen &socket : seen.sockets) {
      if (serves(socket)) {
        for (const SocketOwner &owner : socket.owners) {
          processes_.push_back(owner.process);
        }
      }
    }
    std::sort(processes_.begin(), processes_.end());
    complete_ = seen.completeness.complete();
    read_ = now;
  }
  return !complete_ || std::any_of(attribution.processes.begin(), attribution.processes.end(),
                                   [&](const ProcessSeen &process) {
                                     return std::binary_search(processes_.begin(), processes_.end(),
                                                               process.identity);
                                   });
}

} // namespace outguard::sensor
