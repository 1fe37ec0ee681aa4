#include "intel/feeds/intake.h"

#include <algorithm>

#include "intel/lower_copy.h"

namespace outguard::intel {

namespace {

/// Not within a UTF-8 sequence.
void cut(std::string &text, std::size_t most) {
  if (text.size() > most) {
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U) {
      --most;
    }
    text.resize(most);
  }
}

} // namespace

Intake::Intake(const std::string &name, ReservedPolicy policy, const FeedSink &sink)
    : policy_(policy), sink_(&sink), base_name_(lowered(name.substr(name.find_last_of('/') + 1))),
      report_(name) {
  if (is_named("ja3")) {
    md5_means_ = IndicatorType::Ja3;
  } else if (is_named("hassh")) {
    md5_means_ = IndicatorType::Hassh;
  }
  for (const auto *part : {"sslbl", "sslcert", "ssl-cert", "certificate", "x509"}) {
    digests_are_certificates_ = digests_are_certificates_ || is_named(part);
  }
}

void Intake::take(Parsed<FeedIndicator> outcome, std::string_view text, std::uint32_t number) {
  if (!outcome) {
    report_.count(outcome.error(), text, number);
    return;
  }
  auto &about = outcome->about;
  cut(about.id, kMaxIdBytes);
  cut(about.description, kMaxAboutBytes);
  report_.count((*sink_)(*outcome, number), text, number);
}

void Intake::retype(FeedIndicator &indicator) const {
  auto &type = indicator.key.type;
  if (type == IndicatorType::FileMd5 && md5_means_) {
    type = *md5_means_;
  } else if (type == IndicatorType::FileSha1 && digests_are_certificates_) {
    type = IndicatorType::CertificateSha1;
  } else if (type == IndicatorType::FileSha256 && digests_are_certificates_) {
    type = IndicatorType::CertificateSha256;
  }
}

Tlp parse_tlp(std::string_view text) {
  auto name = lowered(text);
  if (name.starts_with("tlp:")) {
    name.erase(0, 4);
  }
  if (name == "white" || name == "clear") {
    return Tlp::Clear;
  }
  if (name == "green") {
    return Tlp::Green;
  }
  if (name == "amber") {
    return Tlp::Amber;
  }
  if (name == "amber+strict") {
    return Tlp::AmberStrict;
  }
  return name == "red" ? Tlp::Red : Tlp::Unknown;
}

void add_tag(IndicatorAbout &about, std::string_view tag) {
  if (lowered(tag.substr(0, 4)) == "tlp:") {
    about.tlp = std::max(about.tlp, parse_tlp(tag)); // the strictest of several
    return;
  }
  if (!tag.empty() && about.tags.size() < kMaxTags) {
    std::string text(tag);
    cut(text, kMaxTagBytes);
    if (std::find(about.tags.begin(), about.tags.end(), text) == about.tags.end()) {
      about.tags.push_back(std::move(text));
    }
  }
}

} // namespace outguard::intel
