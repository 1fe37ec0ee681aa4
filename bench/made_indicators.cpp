#include "made_indicators.h"

#include <array>
#include <string_view>

namespace outguard::bench {

namespace {

constexpr auto kWords = std::to_array<std::string_view>(
    {"cloud", "mail", "news", "shop", "data", "play",  "media", "bank", "photo", "update", "login",
     "api",   "cdn",  "img",  "user", "web",  "store", "video", "app",  "game",  "home"});
constexpr auto kEndings =
    std::to_array<std::string_view>({"com", "net", "org", "info", "io", "de", "co.uk", "xyz"});

/// Mixes a number so that neighbours have nothing in common; different ones stay different.
constexpr std::uint32_t scattered(std::uint32_t number) {
  number = (number ^ 0x5bd1e995) * 0x9e3779b1U;
  return (number ^ number >> 15) * 0x85ebca6bU;
}

std::string_view word(std::uint32_t number) {
  return kWords[number % kWords.size()];
}

std::string base36(std::uint32_t number) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string text;
  for (; number != 0 || text.empty(); number /= 36) {
    text += kDigits[number % 36];
  }
  return text;
}

std::string name_of(std::string_view mark, std::uint32_t number) {
  const auto mixed = scattered(number);
  std::string name;
  if (mixed % 3 != 0) {
    name.append(word(mixed >> 4)).append(mixed % 3 == 1 ? "-" : "").append(word(mixed >> 9)) += '.';
  }
  name.append(word(mixed >> 14)).append(mark).append(base36(number)) += '.';
  return name.append(kEndings[(mixed >> 20) % kEndings.size()]);
}

/// One in the half of the IPv4 space that is handed out for sure; `odd` ones are listed.
IpAddress address_of(std::uint32_t number, std::uint32_t odd) {
  constexpr std::uint32_t kBlocks = 40; // 45.0.0.0/8 to 84.0.0.0/8
  const auto mixed = scattered(number);
  const auto raw = (45 + mixed % kBlocks) << 24 | (mixed >> 6 & 0xffff) << 8;
  const auto last = (number >> 22 & 0x3f) * 4 + (mixed >> 30 & 1) * 2 + odd;
  const auto value = raw | last;
  IpAddress address;
  address.family = IpFamily::V4;
  for (std::size_t i = 0; i < 4; ++i) {
    address.bytes[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  }
  return address;
}

} // namespace

std::string listed_domain(std::uint32_t number) {
  return name_of("-b", number);
}
IpAddress listed_address(std::uint32_t number) {
  return address_of(number, 1);
}
std::string listed_url_host(std::uint32_t number) {
  return name_of("-u", number);
}
std::string listed_url_path(std::uint32_t number) {
  const auto mixed = scattered(number);
  return std::string("/")
      .append(word(mixed))
      .append("/")
      .append(base36(mixed))
      .append("/get.php?id=")
      .append(std::to_string(number));
}
std::string good_name(std::uint32_t number) {
  return name_of("-g", number);
}
IpAddress good_address(std::uint32_t number) {
  return address_of(number, 0);
}

std::string indicator_list(std::uint32_t count) {
  std::string list;
  std::uint32_t domains = 0, addresses = 0, urls = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto kind = i % 20;
    if (kind < kDomainsOfTwenty) {
      list += listed_domain(domains++);
    } else if (kind < kDomainsOfTwenty + kAddressesOfTwenty) {
      list += listed_address(addresses++).to_string();
    } else {
      list += "http://" + listed_url_host(urls) + listed_url_path(urls);
      ++urls;
    }
    list += '\n';
  }
  return list;
}

} // namespace outguard::bench
