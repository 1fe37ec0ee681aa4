#pragma once
// STIX 2.x objects -> indicators: newest version of each id, revoked ones out, patterns as far as
// one observable decides them. One document; one thread. No exceptions.

#include <cstdint>
#include <string>
#include <unordered_map>

#include "intel/feeds/intake.h"
#include "intel/feeds/json_feed.h"
#include "intel/feeds/stix_pattern.h"

namespace outguard::intel {

class StixParser {
public:
  explicit StixParser(Intake &intake) : intake_(&intake) {}

  void note(const StixObject &object);
  void take(const StixObject &object, std::uint32_t number);

private:
  struct Version {
    std::int64_t modified = 0; ///< ns
    bool taken = false;
  };

  [[nodiscard]] bool is_newest(const StixObject &object);
  void take_pattern(const StixObject &object, const FeedIndicator &about, std::uint32_t number);
  void take_alternative(const StixAlternative &one, const FeedIndicator &about,
                        std::string_view pattern, std::uint32_t number);

  Intake *intake_;
  std::unordered_map<std::string, Version> newest_; ///< bounded by the document's size
  std::unordered_map<std::string, Tlp> markings_;
};

/// What one alternative means. nullopt: nothing that one observable decides, and `why` says which
/// part of it.
[[nodiscard]] std::optional<Parsed<FeedIndicator>>
indicator_of(const StixAlternative &one, ReservedPolicy policy, std::string &why);

} // namespace outguard::intel
