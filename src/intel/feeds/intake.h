#pragma once
// Where every parser of this folder hands what it found: counts it, gives indicators on, and keeps
// what all of them need to know of the feed. One a feed; one thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "intel/feed_indicator.h"
#include "intel/indicator_value.h"
#include "intel/report_writer.h"

namespace outguard::intel {

class Intake {
public:
  /// `sink` must outlive it.
  Intake(const std::string &name, ReservedPolicy policy, const FeedSink &sink);

  [[nodiscard]] ReservedPolicy policy() const { return policy_; }
  [[nodiscard]] ReportWriter &report() { return report_; }
  /// Does the file's own name, in lower case and without its folders, hold this?
  [[nodiscard]] bool is_named(std::string_view part) const {
    return base_name_.find(part) != std::string::npos;
  }
  [[nodiscard]] const std::string &base_name() const { return base_name_; }

  /// What is not cut here is cut nowhere: texts of `about` are held to their limits.
  void take(Parsed<FeedIndicator> outcome, std::string_view text, std::uint32_t number);
  void reject(RejectReason reason, std::string_view text, std::uint32_t number) {
    report_.count(reason, text, number);
  }
  void ignore(std::string_view kind) { report_.count_ignored(kind); }

  /// Bare digests mean files unless the feed's name says otherwise ("ja3", "sslbl").
  void retype(FeedIndicator &indicator) const;
  [[nodiscard]] bool retypes() const { return md5_means_ || digests_are_certificates_; }

private:
  ReservedPolicy policy_;
  const FeedSink *sink_;
  std::string base_name_;
  std::optional<IndicatorType> md5_means_;
  bool digests_are_certificates_ = false;
  ReportWriter report_;
};

/// Takes a TLP tag ("tlp:amber", "TLP:AMBER+STRICT", "white"); Unknown when it is none.
[[nodiscard]] Tlp parse_tlp(std::string_view text);

/// Adds a tag, or sets the TLP when it is one of those; nothing beyond the cap.
void add_tag(IndicatorAbout &about, std::string_view tag);

} // namespace outguard::intel
