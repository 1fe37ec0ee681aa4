#pragma once
// What `nft list table` prints, as far as our own tables need it: sets with timeouts and counters.
// (nft 1.0.6 prints no JSON for one element.) Plain functions.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace outguard::respond {

struct NftElement {
  std::vector<std::string> fields; ///< of a concatenation
  std::chrono::seconds left{};     ///< rounded up
};

struct NftTable {
  std::map<std::string, std::vector<NftElement>> sets;
  std::map<std::string, std::uint64_t> packets; ///< by the counter's name
};

/// Elements without an end, and what is neither set nor counter, are left out.
[[nodiscard]] NftTable parse_nft_table(std::string_view text);
/// "... expires 1h2m3s4ms ...", rounded up.
[[nodiscard]] std::optional<std::chrono::seconds> parse_nft_expiry(std::string_view text);

} // namespace outguard::respond
