#include "guest/protocols/doh_resolvers.h"

#include <algorithm>
#include <array>

namespace outguard::guest {

namespace {

/// Sorted. As their operators publish them.
constexpr auto kResolvers = std::to_array<std::string_view>({
    "anycast.dns.nextdns.io",
    "basic.rethinkdns.com",
    "cloudflare-dns.com",
    "dns-family.adguard.com",
    "dns-unfiltered.adguard.com",
    "dns.adguard-dns.com",
    "dns.adguard.com",
    "dns.alidns.com",
    "dns.cloudflare.com",
    "dns.controld.com",
    "dns.digitale-gesellschaft.ch",
    "dns.google",
    "dns.google.com",
    "dns.mullvad.net",
    "dns.nextdns.io",
    "dns.njal.la",
    "dns.pub",
    "dns.quad9.net",
    "dns.switch.ch",
    "dns.twnic.tw",
    "dns.umbrella.com",
    "dns0.eu",
    "dns10.quad9.net",
    "dns11.quad9.net",
    "dns12.quad9.net",
    "dns9.quad9.net",
    "doh.360.cn",
    "doh.applied-privacy.net",
    "doh.cleanbrowsing.org",
    "doh.cox.net",
    "doh.dns.apple.com",
    "doh.dns.sb",
    "doh.familyshield.opendns.com",
    "doh.libredns.gr",
    "doh.mullvad.net",
    "doh.opendns.com",
    "doh.pub",
    "doh.sb",
    "doh.tiar.app",
    "doh.umbrella.com",
    "doh.xfinity.com",
    "family.adguard-dns.com",
    "freedns.controld.com",
    "joindns4.eu",
    "max.rethinkdns.com",
    "odvr.nic.cz",
    "one.one.one.one",
    "ordns.he.net",
    "private.canadianshield.cira.ca",
    "public.dns.iij.jp",
    "sky.rethinkdns.com",
    "unfiltered.adguard-dns.com",
    "wikimedia-dns.org",
});
static_assert(std::is_sorted(kResolvers.begin(), kResolvers.end()));

/// Of a name by its length and two letters: enough to say no for most, which every name of every
/// hello is asked.
constexpr std::size_t mark_of(std::string_view name) {
  const auto first = static_cast<std::uint8_t>(name.front());
  const auto last = static_cast<std::uint8_t>(name[name.size() - 1]);
  return (name.size() * 37 + first * std::size_t{11} + last) % 512;
}
constexpr auto kMarks = [] {
  std::array<bool, 512> marks{};
  for (const auto resolver : kResolvers) {
    marks[mark_of(resolver)] = true;
  }
  return marks;
}();

} // namespace

bool is_doh_resolver(std::string_view host) {
  for (;;) {
    if (!host.empty() && kMarks[mark_of(host)] &&
        std::binary_search(kResolvers.begin(), kResolvers.end(), host)) {
      return true;
    }
    const auto dot = host.find('.');
    if (dot == std::string_view::npos) {
      return false;
    }
    host.remove_prefix(dot + 1);
  }
}

} // namespace outguard::guest
