#pragma once
// One indicator as a feed gives it, whatever the feed's format: what parsers hand to the builder.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "intel/indicator_key.h"
#include "intel/reject_reason.h"

namespace outguard::intel {

inline constexpr std::size_t kMaxTags = 16;
inline constexpr std::size_t kMaxTagBytes = 64;
inline constexpr std::size_t kMaxAboutBytes = 256;
inline constexpr std::size_t kMaxIdBytes = 128;

/// What a source says of an indicator beside its value. Texts are the feed's own bytes, cut to the
/// limits above; times are seconds since the epoch, 0: not given.
struct IndicatorAbout {
  std::string id;                ///< the source's own
  std::string description;       ///< malware family, threat, comment
  std::vector<std::string> tags; ///< without TLP tags
  Tlp tlp = Tlp::Unknown;
  std::uint8_t severity = 0; ///< 1 (worst) to 3; 0: not given
  std::int64_t first_seen = 0;
  std::int64_t last_seen = 0;
  std::int64_t valid_from = 0;
};

/// How much of what is observed an indicator means, beyond what equals it.
enum class MatchScope : std::uint8_t {
  Exact,
  WithSubdomains, ///< domains: the names under it too
  Prefix,         ///< URLs: whatever begins with it
};

struct FeedIndicator {
  IndicatorKey key;
  MatchScope scope = MatchScope::Exact;
  std::uint8_t confidence = 0; ///< 1..100; 0: not given
  std::int64_t valid_until = 0;
  IndicatorAbout about;
};

enum class Taken : std::uint8_t {
  Accepted,
  Duplicate,
  Full,
  BadValue, ///< the key cannot be of its type; parsers that use parse_value() never see it
  Guarded,  ///< sound, but a guard refuses it
};
/// What became of an indicator that was handed over.
struct Receipt {
  // NOLINTNEXTLINE(google-explicit-constructor): most of them say no more
  Receipt(Taken given) : taken(given) {}

  Taken taken;
  RejectReason reason = RejectReason::NotAnIndicator; ///< of Guarded
  std::string_view guard; ///< what refused it, e.g. a warninglist's name; may be empty
  bool flagged = false;   ///< accepted, with a word of caution among its tags
};

/// Stores an indicator and says what became of it. `line` counts from 1; formats without lines give
/// the number of the object.
using FeedSink = std::function<Receipt(const FeedIndicator &, std::uint32_t line)>;

} // namespace outguard::intel
