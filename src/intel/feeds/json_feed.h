#pragma once
// Takes MISP and STIX documents, and lists of records (abuse.ch, OTX, Spamhaus), apart into plain
// structures; the JSON library stays behind it. One call a document, one thread. No exceptions.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "intel/feeds/csv_columns.h"

namespace outguard::intel {

/// A tape of the whole document is made: about four times its size in memory.
inline constexpr std::size_t kMaxJsonBytes = std::size_t{512} << 20;
inline constexpr std::size_t kMaxJsonDepth = 64;
inline constexpr std::size_t kMaxJsonTags = 64; ///< of one event, attribute or object

/// Texts live as long as the call that hands them out. Empty: not there.
struct MispEvent {
  std::string_view info, date;
  int threat_level = 0; ///< 1 (high) to 4 (undefined)
  std::vector<std::string_view> tags;
};
struct MispAttribute {
  std::string_view type, value, uuid, comment, first_seen, last_seen;
  bool to_ids = false, deleted = false;
  std::vector<std::string_view> tags;
};

struct StixObject {
  std::string_view type, id, name, description, pattern, pattern_type;
  std::string_view created, modified, valid_from, valid_until;
  bool revoked = false;
  std::optional<std::int64_t> confidence;
  std::vector<std::string_view> labels; ///< and indicator types
  std::vector<std::string_view> markings;
  std::string_view tlp; ///< of a marking definition
};

enum class JsonShape : std::uint8_t {
  Unknown,
  Misp,
  MispManifest,
  MispWarningList,
  Stix,
  TaxiiEnvelope,
  Records,
};

/// An object whose members are named as the columns of a CSV are.
struct JsonRecord {
  const std::vector<Column> &columns;
  const std::vector<std::string> &fields; ///< as many; numbers as texts, lists with commas
};

class JsonFeedVisitor {
public:
  virtual ~JsonFeedVisitor() = default;
  /// Numbers count from 1.
  virtual void on_misp(const MispEvent &event, const MispAttribute &attribute,
                       std::uint32_t number) = 0;
  /// Every STIX object is noted before the first is taken: versions and markings come in any order.
  virtual void note_stix(const StixObject &object) = 0;
  virtual void on_stix(const StixObject &object, std::uint32_t number) = 0;
  /// `number` of the object, or of its line where each has its own.
  virtual void on_record(const JsonRecord &record, std::uint32_t number) = 0;
  /// A line that is no object, or an object among records that holds no indicator.
  virtual void on_bad_line(std::string_view line, std::uint32_t number) = 0;
  virtual void on_other_object() = 0;
};

struct JsonOutcome {
  JsonShape shape = JsonShape::Unknown;
  std::string problem; ///< not empty: no indicator was handed out
};
[[nodiscard]] JsonOutcome read_json_feed(std::string_view text, JsonFeedVisitor &visitor);

} // namespace outguard::intel
