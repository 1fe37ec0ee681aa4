#include "intel/feeds/stix_parser.h"

#include <algorithm>

#include "intel/domain_name.h"
#include "intel/feeds/feed_time.h"

namespace outguard::intel {

namespace {

/// STIX 2.1, 7.2.1.4 (TLP 1), and the TLP 2.0 extension definition.
struct Marking {
  std::string_view id;
  Tlp tlp;
};
constexpr Marking kMarkings[] = {
    {"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", Tlp::Clear},
    {"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", Tlp::Green},
    {"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", Tlp::Amber},
    {"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", Tlp::Red},
    {"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", Tlp::Clear},
    {"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", Tlp::Green},
    {"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", Tlp::Amber},
    {"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", Tlp::AmberStrict},
    {"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", Tlp::Red},
};

/// Of a digest's name: "SHA-256", "sha256", "SHA256" are one.
std::string plain_algorithm(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c != '-' && c != '_') {
      plain += ascii_lower(c);
    }
  }
  return plain;
}

std::optional<IndicatorType> digest_type(std::string_view path, std::size_t digits) {
  const auto dot = path.find('.');
  const bool certificate = path.starts_with("x509-certificate:hashes");
  const bool file = path.starts_with("file:hashes") || path.starts_with("artifact:hashes");
  if (!certificate && !file) {
    return std::nullopt;
  }
  auto algorithm = dot == path.npos ? std::string() : plain_algorithm(path.substr(dot + 1));
  if (path.ends_with("hashes[*]")) {
    algorithm = digits == 64 ? "sha256" : digits == 40 ? "sha1" : digits == 32 ? "md5" : "";
  }
  if (algorithm == "sha256") {
    return certificate ? IndicatorType::CertificateSha256 : IndicatorType::FileSha256;
  }
  if (algorithm == "sha1") {
    return certificate ? IndicatorType::CertificateSha1 : IndicatorType::FileSha1;
  }
  return algorithm == "md5" && !certificate ? std::optional(IndicatorType::FileMd5) : std::nullopt;
}

/// What a path that stands alone says of its value.
std::optional<IndicatorType> type_of(const StixTerm &term) {
  if (term.path == "ipv4-addr:value" || term.path == "ipv6-addr:value") {
    return IndicatorType::Address;
  }
  if (term.path == "domain-name:value") {
    return IndicatorType::Domain;
  }
  if (term.path == "url:value") {
    return IndicatorType::Url;
  }
  return digest_type(term.path, term.value.text.size());
}

/// network-traffic terms joined by AND.
struct Traffic {
  std::string remote, port;
  bool is_source = false; ///< then a destination port would be the guest's own
  bool sound = true;
};

void read_traffic(const StixTerm &term, Traffic &traffic) {
  const auto set_once = [&](std::string &place) {
    traffic.sound = traffic.sound && place.empty();
    place = term.value.text;
  };
  if (term.path == "network-traffic:dst_ref.value" ||
      term.path == "network-traffic:src_ref.value") {
    set_once(traffic.remote);
    traffic.is_source = term.path == "network-traffic:src_ref.value";
  } else if (term.path == "network-traffic:dst_port") {
    set_once(traffic.port);
  } else if (term.path != "network-traffic:dst_ref.type" &&
             term.path != "network-traffic:src_ref.type") {
    // Protocols that say no more than the address and the port do.
    const auto &value = term.value.text;
    traffic.sound = traffic.sound && term.path == "network-traffic:protocols[*]" &&
                    (value == "tcp" || value == "ipv4" || value == "ipv6");
  }
}

std::optional<Parsed<FeedIndicator>> traffic_of(const StixAlternative &one, ReservedPolicy policy,
                                                std::string &why) {
  Traffic traffic;
  for (const auto &term : one.terms) {
    read_traffic(term, traffic);
  }
  if (!traffic.sound || traffic.remote.empty()) {
    why = "pattern with AND";
    return std::nullopt;
  }
  if (traffic.port.empty()) {
    return parse_indicator(traffic.remote, policy);
  }
  if (traffic.is_source) {
    why = "pattern with AND";
    return std::nullopt;
  }
  auto address = std::string_view(traffic.remote);
  for (const std::string_view whole : {"/32", "/128"}) {
    if (address.ends_with(whole)) {
      address.remove_suffix(whole.size());
    }
  }
  const bool v6 = address.find(':') != address.npos;
  return parse_value(IndicatorType::Endpoint,
                     v6 ? "[" + std::string(address) + "]:" + traffic.port
                        : std::string(address) + ":" + traffic.port,
                     policy);
}

/// STIX 2.1, 10.8: an indicator may say of what it describes that it is no threat. One that says
/// more than that is somebody's threat.
bool is_benign(const StixObject &object) {
  return !object.labels.empty() &&
         std::all_of(object.labels.begin(), object.labels.end(), [](std::string_view label) {
           constexpr std::string_view kBenign = "benign";
           return std::equal(label.begin(), label.end(), kBenign.begin(), kBenign.end(),
                             [](char a, char b) { return ascii_lower(a) == b; });
         });
}

} // namespace

std::optional<Parsed<FeedIndicator>> indicator_of(const StixAlternative &one, ReservedPolicy policy,
                                                  std::string &why) {
  if (one.beyond != nullptr) {
    why = std::string("pattern with ") + one.beyond;
    return std::nullopt;
  }
  bool traffic = !one.terms.empty();
  for (const auto &term : one.terms) {
    const bool subset = term.relation == "ISSUBSET" &&
                        (term.path.ends_with("-addr:value") || term.path.ends_with("_ref.value"));
    if (term.path == "email-addr:value") {
      why = "e-mail address";
      return std::nullopt;
    }
    if (term.relation != "=" && !subset) {
      why = "pattern with " + term.relation;
      return std::nullopt;
    }
    traffic = traffic && term.path.starts_with("network-traffic:");
  }
  if (traffic) {
    return traffic_of(one, policy, why);
  }
  if (one.terms.size() != 1) {
    why = "pattern with AND";
    return std::nullopt;
  }
  const auto &term = one.terms.front();
  const auto type = type_of(term);
  if (!type || term.value.kind != StixToken::Kind::String) {
    why = "pattern on " + term.path;
    return std::nullopt;
  }
  return parse_value(*type, term.value.text, policy);
}

void StixParser::note(const StixObject &object) {
  if (object.type == "marking-definition") {
    const auto tlp = parse_tlp(object.tlp.empty() ? object.name : object.tlp);
    if (tlp != Tlp::Unknown) {
      markings_[std::string(object.id)] = tlp;
    }
  }
  if (object.type == "indicator" && !object.id.empty()) {
    const auto modified = parse_time_ns(object.modified).value_or(0);
    auto &version = newest_[std::string(object.id)];
    version.modified = std::max(version.modified, modified);
  }
}

bool StixParser::is_newest(const StixObject &object) {
  if (object.id.empty()) {
    return true;
  }
  auto &version = newest_[std::string(object.id)];
  if (version.taken || parse_time_ns(object.modified).value_or(0) < version.modified) {
    return false;
  }
  version.taken = true;
  return true;
}

void StixParser::take(const StixObject &object, std::uint32_t number) {
  if (object.type != "indicator") {
    intake_->ignore(object.type.empty() ? "object without a type"
                                        : "object of type " + std::string(object.type));
    return;
  }
  if (!is_newest(object)) {
    intake_->ignore("superseded version");
    return;
  }
  if (object.revoked) {
    intake_->ignore("revoked");
    return;
  }
  if (is_benign(object)) {
    intake_->ignore("benign by its own words");
    return;
  }
  if (!object.pattern_type.empty() && object.pattern_type != "stix") {
    intake_->ignore("pattern of type " + std::string(object.pattern_type));
    return;
  }
  FeedIndicator about;
  about.about.id = object.id;
  about.about.description = object.name.empty() ? object.description : object.name;
  for (const auto label : object.labels) {
    add_tag(about.about, label);
  }
  for (const auto marking : object.markings) {
    const auto *const known =
        std::find_if(std::begin(kMarkings), std::end(kMarkings),
                     [&](const Marking &candidate) { return candidate.id == marking; });
    const auto own = markings_.find(std::string(marking));
    const auto tlp = known != std::end(kMarkings) ? known->tlp
                     : own != markings_.end()     ? own->second
                                                  : Tlp::Unknown;
    about.about.tlp = std::max(about.about.tlp, tlp);
  }
  about.confidence =
      static_cast<std::uint8_t>(std::clamp<std::int64_t>(object.confidence.value_or(0), 0, 100));
  about.about.first_seen = time_or_zero(object.created);
  about.about.valid_from = time_or_zero(object.valid_from);
  about.valid_until = time_or_zero(object.valid_until);
  if (!object.valid_until.empty() && about.valid_until == 0) {
    intake_->reject(RejectReason::BadTime, object.pattern, number);
    return;
  }
  take_pattern(object, about, number);
}

void StixParser::take_pattern(const StixObject &object, const FeedIndicator &about,
                              std::uint32_t number) {
  if (object.pattern.empty()) {
    intake_->reject(RejectReason::MissingValue, object.id, number);
    return;
  }
  const auto alternatives = parse_stix_pattern(object.pattern);
  if (!alternatives) {
    intake_->reject(alternatives.error(), object.pattern, number);
    return;
  }
  for (const auto &one : *alternatives) {
    take_alternative(one, about, object.pattern, number);
  }
}

void StixParser::take_alternative(const StixAlternative &one, const FeedIndicator &about,
                                  std::string_view pattern, std::uint32_t number) {
  std::string why;
  auto parsed = indicator_of(one, intake_->policy(), why);
  if (!parsed) {
    intake_->ignore(why);
    return;
  }
  if (*parsed) {
    auto key = std::move((*parsed)->key);
    **parsed = about;
    (*parsed)->key = std::move(key);
    (*parsed)->scope = MatchScope::Exact; // equality is all that the pattern says
  }
  intake_->take(std::move(*parsed), pattern, number);
}

} // namespace outguard::intel
