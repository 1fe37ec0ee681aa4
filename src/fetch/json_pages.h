#pragma once
// What fetching must understand of JSON: where a TAXII page's objects are and how to go on, what a
// MISP manifest names, where an event begins and ends. The JSON library stays behind it; items come
// out checked, on one line. Pure functions.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace outguard::fetch {

/// A page or an event; parsing takes some five times as much for a while.
inline constexpr std::size_t kMaxPageBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxManifestEvents = 200'000;

/// False stops.
using TakeItem = std::function<bool(std::string_view)>;

struct TaxiiPage {
  bool more = false;
  std::string next; ///< empty: not given
  std::uint64_t objects = 0;
  bool stopped = false; ///< by `take`
};
/// nullopt: no envelope of TAXII 2.1. An empty object is one, without objects.
[[nodiscard]] std::optional<TaxiiPage> read_taxii_page(std::string_view text, const TakeItem &take);

struct ManifestEvent {
  std::string uuid; ///< lower case, of the form of one: it becomes part of a URL
  std::int64_t timestamp = 0;
  bool operator==(const ManifestEvent &) const = default;
};
struct MispManifest {
  std::vector<ManifestEvent> events;
  std::uint64_t malformed = 0; ///< entries without a usable uuid or timestamp
};
/// nullopt: no manifest, or one of more events than the cap.
[[nodiscard]] std::optional<MispManifest> read_misp_manifest(std::string_view text);

/// The `Event` of an event file; nullopt: it has none.
[[nodiscard]] std::optional<std::string> read_misp_event(std::string_view text);

[[nodiscard]] bool is_uuid(std::string_view text);

} // namespace outguard::fetch
