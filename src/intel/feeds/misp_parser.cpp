#include "intel/feeds/misp_parser.h"

#include <algorithm>

#include "intel/feeds/feed_time.h"
#include "intel/feeds/line_reader.h"

namespace outguard::intel {

namespace {

enum class Shape : std::uint8_t {
  One,
  Both,     ///< name|address: either is an indicator
  Endpoint, ///< address|port
  First,    ///< name|port
  Second,   ///< filename|digest
};

struct Type {
  std::string_view name;
  Shape shape;
  IndicatorType type;
  MatchScope scope = MatchScope::Exact;
};

constexpr auto kUnder = MatchScope::WithSubdomains;
constexpr Type kTypes[] = {
    {"ip-src", Shape::One, IndicatorType::Address},
    {"ip-dst", Shape::One, IndicatorType::Address},
    {"ip-src|port", Shape::Endpoint, IndicatorType::Endpoint},
    {"ip-dst|port", Shape::Endpoint, IndicatorType::Endpoint},
    {"domain", Shape::One, IndicatorType::Domain, kUnder},
    {"domain|ip", Shape::Both, IndicatorType::Domain, kUnder},
    {"hostname", Shape::One, IndicatorType::Domain},
    {"hostname|port", Shape::First, IndicatorType::Domain},
    {"url", Shape::One, IndicatorType::Url},
    {"uri", Shape::One, IndicatorType::UrlPath},
    {"md5", Shape::One, IndicatorType::FileMd5},
    {"sha1", Shape::One, IndicatorType::FileSha1},
    {"sha256", Shape::One, IndicatorType::FileSha256},
    {"filename|md5", Shape::Second, IndicatorType::FileMd5},
    {"filename|sha1", Shape::Second, IndicatorType::FileSha1},
    {"filename|sha256", Shape::Second, IndicatorType::FileSha256},
    {"malware-sample", Shape::Second, IndicatorType::FileMd5},
    {"ja3-fingerprint-md5", Shape::One, IndicatorType::Ja3},
    {"hassh-md5", Shape::One, IndicatorType::Hassh},
    {"x509-fingerprint-sha1", Shape::One, IndicatorType::CertificateSha1},
    {"x509-fingerprint-sha256", Shape::One, IndicatorType::CertificateSha256},
};

FeedIndicator about_of(const MispEvent &event, const MispAttribute &attribute) {
  FeedIndicator indicator;
  auto &about = indicator.about;
  about.id = attribute.uuid;
  about.description = attribute.comment.empty() ? event.info : attribute.comment;
  for (const auto *tags : {&attribute.tags, &event.tags}) {
    for (const auto tag : *tags) {
      add_tag(about, tag);
    }
  }
  about.severity = event.threat_level >= 1 && event.threat_level <= 3
                       ? static_cast<std::uint8_t>(event.threat_level)
                       : std::uint8_t{0};
  about.first_seen = time_or_zero(attribute.first_seen.empty() ? event.date : attribute.first_seen);
  about.last_seen = time_or_zero(attribute.last_seen);
  return indicator;
}

class Taker {
public:
  Taker(const MispEvent &event, const MispAttribute &attribute, std::uint32_t number,
        Intake &intake)
      : about_(about_of(event, attribute)), attribute_(&attribute), number_(number),
        intake_(&intake) {}

  void take(const Type &type) {
    const auto value = trimmed(attribute_->value);
    auto second = value;
    const auto first = take_until(second, '|');
    switch (type.shape) {
    case Shape::One:
      give(type.type, type.scope, value);
      break;
    case Shape::Both:
      give(type.type, type.scope, first);
      give(IndicatorType::Address, MatchScope::Exact, second);
      break;
    case Shape::Endpoint:
      give(type.type, type.scope,
           first.find(':') == first.npos ? std::string(first) + ":" + std::string(second)
                                         : "[" + std::string(first) + "]:" + std::string(second));
      break;
    case Shape::First:
      give(type.type, type.scope, first);
      break;
    case Shape::Second:
      give(type.type, type.scope, value.substr(value.rfind('|') + 1)); // file names may hold one
      break;
    }
  }

private:
  void give(IndicatorType type, MatchScope scope, std::string_view value) {
    auto parsed = value.empty() ? reject(RejectReason::MissingValue)
                                : parse_value(type, value, intake_->policy());
    if (parsed) {
      auto key = std::move(parsed->key);
      const auto confidence = parsed->confidence;
      *parsed = about_;
      parsed->key = std::move(key);
      parsed->confidence = confidence;
      parsed->scope = scope;
    }
    intake_->take(std::move(parsed), attribute_->value, number_);
  }

  FeedIndicator about_;
  const MispAttribute *attribute_;
  std::uint32_t number_;
  Intake *intake_;
};

} // namespace

void take_misp(const MispEvent &event, const MispAttribute &attribute, std::uint32_t number,
               Intake &intake) {
  if (attribute.deleted) {
    intake.ignore("deleted");
    return;
  }
  if (attribute.type.starts_with("email")) {
    intake.ignore("e-mail address");
    return;
  }
  if (!attribute.to_ids) {
    intake.ignore("not for detection (to_ids)");
    return;
  }
  const auto *const type =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [&](const Type &known) { return known.name == attribute.type; });
  if (type == std::end(kTypes)) {
    intake.ignore("attribute of type " + std::string(attribute.type));
    return;
  }
  Taker(event, attribute, number, intake).take(*type);
}

} // namespace outguard::intel
