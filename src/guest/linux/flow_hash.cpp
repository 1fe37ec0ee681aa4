#include "guest/linux/flow_hash.h"

#include <array>
#include <bit>
#include <cstring>

namespace outguard::guest {
namespace {

constexpr std::uint32_t kInitial = 0xdeadbeef; // JHASH_INITVAL

using Words = std::array<std::uint32_t, 3>;

void mix_in(Words &w) { // __jhash_mix
  auto &[a, b, c] = w;
  a -= c, a ^= std::rotl(c, 4), c += b;
  b -= a, b ^= std::rotl(a, 6), a += c;
  c -= b, c ^= std::rotl(b, 8), b += a;
  a -= c, a ^= std::rotl(c, 16), c += b;
  b -= a, b ^= std::rotl(a, 19), a += c;
  c -= b, c ^= std::rotl(b, 4), b += a;
}

std::uint32_t finish(Words &w) { // __jhash_final
  auto &[a, b, c] = w;
  c ^= b, c -= std::rotl(b, 14);
  a ^= c, a -= std::rotl(c, 11);
  b ^= a, b -= std::rotl(a, 25);
  c ^= b, c -= std::rotl(b, 16);
  a ^= c, a -= std::rotl(c, 4);
  b ^= a, b -= std::rotl(a, 14);
  c ^= b, c -= std::rotl(b, 24);
  return c;
}

/// The address as the kernel's array of words: network order in memory, loaded as it lies.
std::array<std::uint32_t, 4> words_of(const IpAddress &address) {
  std::array<std::uint32_t, 4> words{};
  std::memcpy(words.data(), address.bytes.data(), sizeof words);
  return words;
}

std::uint32_t ports_of(const FlowTuple &flow) { // INET_COMBINED_PORTS without its endianness
  const std::uint16_t remote = flow.remote.port;
  const auto swapped = static_cast<std::uint16_t>(remote << 8 | remote >> 8);
  return std::uint32_t{flow.local.port} << 16 | swapped;
}

} // namespace

std::uint32_t jhash2(std::span<const std::uint32_t> words, std::uint32_t initial) {
  const std::uint32_t start = kInitial + static_cast<std::uint32_t>(words.size() * 4) + initial;
  Words state{start, start, start};
  while (words.size() > state.size()) {
    for (std::size_t i = 0; i < state.size(); ++i) {
      state[i] += words[i];
    }
    mix_in(state);
    words = words.subspan(state.size());
  }
  if (words.empty()) {
    return state[2];
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    state[i] += words[i];
  }
  return finish(state);
}

std::uint32_t established_hash(const FlowTuple &flow, const HashSecrets &secrets,
                               std::uint32_t mix) {
  const auto local = words_of(flow.local.address), remote = words_of(flow.remote.address);
  if (flow.local.address.family == IpFamily::V4) {
    return jhash2(std::array{local[0], remote[0], ports_of(flow)}, secrets.v4 + mix);
  }
  const std::uint32_t of_remote =
      jhash2(std::array{remote[0] ^ remote[1], remote[2], remote[3]}, secrets.v6_remote);
  return jhash2(std::array{local[3], of_remote, ports_of(flow)}, secrets.v6 + mix);
}

std::uint32_t listen_hash(const Endpoint &local, std::uint32_t mix) {
  const auto words = words_of(local.address);
  const bool one_word = local.address.family == IpFamily::V4 || local.address.is_unspecified();
  return jhash2(std::span(words).first(one_word ? 1 : words.size()), mix) ^ local.port;
}

} // namespace outguard::guest
