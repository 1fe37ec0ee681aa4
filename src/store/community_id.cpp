#include "store/community_id.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

#include <openssl/evp.h>

namespace outguard::store {

namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kSctp = 132;

// The types with a counterpart in the specification's reference code.
constexpr std::uint16_t kAnsweredIcmp[] = {0, 8, 9, 10, 13, 14, 15, 16, 17, 18};
constexpr std::uint16_t kAnsweredIcmpv6[] = {128, 129, 130, 131, 133, 134,
                                             135, 136, 139, 140, 144, 145};

bool has_ports(std::uint8_t protocol) {
  constexpr std::uint8_t kWithPorts[] = {kIcmp, kTcp, kUdp, kIcmpv6, kSctp};
  return std::find(std::begin(kWithPorts), std::end(kWithPorts), protocol) != std::end(kWithPorts);
}

template <std::size_t N> bool contains(const std::uint16_t (&types)[N], std::uint16_t type) {
  return std::find(std::begin(types), std::end(types), type) != std::end(types);
}

void append(std::vector<std::uint8_t> &out, const IpAddress &address) {
  const auto octets = address.octets();
  out.insert(out.end(), octets.begin(), octets.end());
}

void append(std::vector<std::uint8_t> &out, std::uint16_t big_endian) {
  out.push_back(static_cast<std::uint8_t>(big_endian >> 8));
  out.push_back(static_cast<std::uint8_t>(big_endian & 0xff));
}

std::string base64(const std::uint8_t *bytes, unsigned size) {
  std::array<unsigned char, EVP_MAX_MD_SIZE * 2> text{};
  const int length = EVP_EncodeBlock(text.data(), bytes, static_cast<int>(size));
  return {text.begin(), text.begin() + length};
}

} // namespace

bool is_one_way_icmp(std::uint8_t protocol, std::uint16_t type) {
  return (protocol == kIcmp && !contains(kAnsweredIcmp, type)) ||
         (protocol == kIcmpv6 && !contains(kAnsweredIcmpv6, type));
}

std::string community_id(std::uint8_t protocol, const Endpoint &source,
                         const Endpoint &destination) {
  const auto *low = &source;
  const auto *high = &destination;
  // Network byte order compares like numbers, for addresses of one family.
  if (!is_one_way_icmp(protocol, source.port) &&
      std::tie(high->address.bytes, high->port) < std::tie(low->address.bytes, low->port)) {
    std::swap(low, high);
  }
  std::vector<std::uint8_t> input{0, 0}; // seed
  append(input, low->address);
  append(input, high->address);
  input.push_back(protocol);
  input.push_back(0);
  if (has_ports(protocol)) {
    append(input, low->port);
    append(input, high->port);
  }
  // Fetching a digest takes locks and allocates; once is enough.
  static EVP_MD *const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (sha1 == nullptr ||
      EVP_Digest(input.data(), input.size(), digest.data(), &size, sha1, nullptr) != 1) {
    return {};
  }
  return "1:" + base64(digest.data(), size);
}

} // namespace outguard::store
