#include "intel/guards/well_known_addresses.h"

#include <algorithm>
#include <bitset>
#include <span>
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

// As their operators publish them: Google, Cloudflare, Quad9, OpenDNS, Level 3, Verisign, AdGuard,
// Yandex, 114DNS, Alibaba, Tencent, Control D, CleanBrowsing.
constexpr const char *kPublicResolvers[] = {
    "8.8.8.8",
    "8.8.4.4",
    "2001:4860:4860::8888",
    "2001:4860:4860::8844",
    "1.1.1.1",
    "1.0.0.1",
    "1.1.1.2",
    "1.0.0.2",
    "1.1.1.3",
    "1.0.0.3",
    "2606:4700:4700::1111",
    "2606:4700:4700::1001",
    "9.9.9.9",
    "9.9.9.10",
    "9.9.9.11",
    "149.112.112.112",
    "149.112.112.10",
    "149.112.112.11",
    "2620:fe::fe",
    "2620:fe::9",
    "208.67.222.222",
    "208.67.220.220",
    "208.67.222.123",
    "208.67.220.123",
    "2620:119:35::35",
    "2620:119:53::53",
    "4.2.2.1",
    "4.2.2.2",
    "4.2.2.3",
    "4.2.2.4",
    "64.6.64.6",
    "64.6.65.6",
    "94.140.14.14",
    "94.140.15.15",
    "77.88.8.8",
    "77.88.8.1",
    "114.114.114.114",
    "114.114.115.115",
    "223.5.5.5",
    "223.6.6.6",
    "119.29.29.29",
    "76.76.2.0",
    "76.76.10.0",
    "185.228.168.9",
    "185.228.169.9",
};

/// The high 16 bits of an address: nearly none of a feed share them with one that is known here.
std::size_t high_bits(const IpAddress &address) {
  return std::size_t{address.bytes[0]} << 8 | address.bytes[1];
}
constexpr std::uint8_t kHighBits = 16;

struct Known {
  IpAddress address;
  RejectReason reason;
};

class KnownAddresses {
public:
  KnownAddresses() {
    add(kRootServers, RejectReason::RootServer);
    add(kPublicResolvers, RejectReason::PublicResolver);
  }

  /// Of the first in the order of the lists.
  [[nodiscard]] std::optional<RejectReason> reason(const IpNetwork &network) const {
    if (network.prefix >= kHighBits && !any_[high_bits(network.address)]) {
      return std::nullopt;
    }
    const auto found = std::find_if(known_.begin(), known_.end(), [&](const Known &known) {
      return network.contains(known.address);
    });
    return found == known_.end() ? std::nullopt : std::optional(found->reason);
  }

private:
  void add(std::span<const char *const> texts, RejectReason reason) {
    for (const auto *text : texts) {
      if (const auto address = IpAddress::parse(text)) {
        known_.push_back({*address, reason});
        any_.set(high_bits(*address));
      }
    }
  }

  std::vector<Known> known_;
  std::bitset<1 << kHighBits> any_;
};

} // namespace

std::optional<RejectReason> well_known_reason(const IpNetwork &network) {
  static const KnownAddresses kKnown;
  return kKnown.reason(network);
}

} // namespace outguard::intel
