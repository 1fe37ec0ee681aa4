#pragma once
// The formats of feeds, and which one a file is in. Pure functions; no exceptions.

#include <cstdint>
#include <optional>
#include <string_view>

namespace outguard::intel {

enum class FeedFormat : std::uint8_t {
  List, ///< also hosts files
  Csv,
  ZeekIntel,
  SuricataDataset,
  SuricataReputation,
  AdGuard,
  Rpz,
  Json, ///< MISP, STIX, TAXII: its members tell which
};
[[nodiscard]] const char *to_string(FeedFormat format);

/// By the name a user gives it; also "misp", "stix", "taxii" and "hosts".
[[nodiscard]] std::optional<FeedFormat> format_named(std::string_view name);

/// By the bytes, and by the file's own name where those leave it open. `text` is not empty.
[[nodiscard]] FeedFormat detect_format(std::string_view file_name, std::string_view text);

} // namespace outguard::intel
