#pragma once
// What the columns of a CSV with a header, or the members of a JSON record, mean, by the names that
// public feeds give them. Immutable.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "facts/flow_seen.h"

namespace outguard::intel {

enum class ColumnRole : std::uint8_t {
  None,
  Value, ///< an indicator whose type `type` gives, or that is found from its look
  Port,
  TypeName, ///< of the Value beside it
  Confidence,
  FirstSeen,
  LastSeen,
  ValidFrom,
  ValidUntil,
  Tags,
  About,
  Id,
  Tlp,
};

struct Column {
  ColumnRole role = ColumnRole::None;
  std::optional<IndicatorType> type; ///< of a Value
};

/// nullopt: none of the names is known to hold indicators. With a URL among the values the names
/// and addresses beside it are dropped: they are where the URL is served from, often a host of
/// many others. So is the "hostname" beside an address.
[[nodiscard]] std::optional<std::vector<Column>> read_header(std::span<const std::string> names);

/// What type a feed's own word for it means ("ip:port", "sha256_hash", "IPv4"). `known` tells a
/// word that names something else on purpose, as e-mail does, from one never heard of.
struct TypeWord {
  bool known = false;
  std::optional<IndicatorType> type;
};
[[nodiscard]] TypeWord read_type_word(std::string_view word);

} // namespace outguard::intel
