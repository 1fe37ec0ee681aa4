#include "sensor/listed_match.h"

#include <algorithm>

namespace outguard::sensor {

std::optional<IndicatorType> fingerprint_type(ObservableKind kind) {
  switch (kind) {
  case ObservableKind::TlsJa3:
    return IndicatorType::Ja3;
  case ObservableKind::TlsJa4:
    return IndicatorType::Ja4;
  case ObservableKind::SshHassh:
  case ObservableKind::SshHasshServer:
    return IndicatorType::Hassh;
  case ObservableKind::CertificateSha1:
    return IndicatorType::CertificateSha1;
  case ObservableKind::CertificateSha256:
    return IndicatorType::CertificateSha256;
  default:
    return std::nullopt;
  }
}

guest::ObservableKinds kinds_wanted(const intel::IntelSet *intel) {
  using Kind = ObservableKind;
  guest::ObservableKinds kinds{Kind::TlsServerName, Kind::HttpHost};
  if (intel == nullptr) {
    return kinds;
  }
  for (const auto kind : {Kind::DnsName, Kind::DnsAnswerName, Kind::DnsAnswerAddress,
                          Kind::CertificateName, Kind::MailHost, Kind::ProxyTarget}) {
    kinds.add(kind);
  }
  if (intel->lists(IndicatorType::Url) || intel->lists(IndicatorType::UrlPath)) {
    kinds.add(Kind::HttpUrl);
  }
  for (const auto kind : {Kind::TlsJa3, Kind::TlsJa4, Kind::SshHassh, Kind::SshHasshServer,
                          Kind::CertificateSha1, Kind::CertificateSha256}) {
    if (intel->lists(*fingerprint_type(kind))) {
      kinds.add(kind);
    }
  }
  return kinds;
}

std::optional<MatchSeen> listed_match(const intel::IntelSet &intel, intel::IndicatorId id) {
  auto hit = intel.hit(id);
  if (!hit) {
    return std::nullopt; // a damaged image: nothing true can be said
  }
  MatchSeen match;
  match.indicator = std::move(*hit);
  match.sources = intel.sources(id);
  match.source_count = static_cast<std::uint32_t>(match.sources.size());
  match.sources.resize(std::min(match.sources.size(), MatchSeen::kMostSources));
  return match;
}

} // namespace outguard::sensor
