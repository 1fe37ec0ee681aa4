#include "intel/guards/root_servers.h"

#include <algorithm>
#include <vector>

namespace outguard::intel {

namespace {

// a to m.root-servers.net, IANA's root hints; b with its addresses before November 2023, which
// still answer.
constexpr const char *kRootServers[] = {
    "198.41.0.4",          "170.247.170.2",  "199.9.14.201",     "192.33.4.12",    "199.7.91.13",
    "192.203.230.10",      "192.5.5.241",    "192.112.36.4",     "198.97.190.53",  "192.36.148.17",
    "192.58.128.30",       "193.0.14.129",   "199.7.83.42",      "202.12.27.33", //
    "2001:503:ba3e::2:30", "2801:1b8:10::b", "2001:500:200::b",  "2001:500:2::c",  "2001:500:2d::d",
    "2001:500:a8::e",      "2001:500:2f::f", "2001:500:12::d0d", "2001:500:1::53", "2001:7fe::53",
    "2001:503:c27::2:30",  "2001:7fd::1",    "2001:500:9f::42",  "2001:dc3::35",
};

std::vector<IpAddress> parse_root_servers() {
  std::vector<IpAddress> addresses;
  for (const auto *text : kRootServers) {
    if (const auto address = IpAddress::parse(text)) {
      addresses.push_back(*address);
    }
  }
  return addresses;
}

} // namespace

bool holds_root_server(const IpNetwork &network) {
  static const auto kAddresses = parse_root_servers();
  return std::any_of(kAddresses.begin(), kAddresses.end(),
                     [&](const IpAddress &address) { return network.contains(address); });
}

} // namespace outguard::intel
