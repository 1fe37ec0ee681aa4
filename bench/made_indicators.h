#pragma once
// The indicators that benchmarks list and, of the first ones, send: domains, addresses and URLs by
// number, the same ones in every run. What is not listed has the same forms.

#include <cstdint>
#include <string>

#include "base/ip_address.h"

namespace outguard::bench {

/// Of every twenty indicators; the rest are URLs.
inline constexpr std::uint32_t kDomainsOfTwenty = 14, kAddressesOfTwenty = 5;

[[nodiscard]] std::string listed_domain(std::uint32_t number);
[[nodiscard]] IpAddress listed_address(std::uint32_t number);
[[nodiscard]] std::string listed_url_host(std::uint32_t number);
[[nodiscard]] std::string listed_url_path(std::uint32_t number);

/// A name that no list holds, nor any parent of it.
[[nodiscard]] std::string good_name(std::uint32_t number);
/// An address that no list holds.
[[nodiscard]] IpAddress good_address(std::uint32_t number);

/// `count` lines, as a plain list.
[[nodiscard]] std::string indicator_list(std::uint32_t count);

} // namespace outguard::bench
