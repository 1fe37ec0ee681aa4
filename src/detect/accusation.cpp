#include "detect/accusation.h"

namespace outguard::detect {

namespace {

/// What it means that something of a kind was observed in a flow.
enum class Meaning : std::uint8_t {
  Contact,  ///< the flow's own end, or what its two ends do with each other: both are accused
  Question, ///< the flow leads to a name server: who asks is accused, the server is not
  Answer,   ///< what a name server answered: nobody has gone there yet
  Hearsay,  ///< said in a flow that others' things pass through
};

Meaning meaning_of(ObservableKind kind) {
  switch (kind) {
  case ObservableKind::RemoteAddress:
  case ObservableKind::RemoteEndpoint:
  case ObservableKind::HttpHost:
  case ObservableKind::HttpUrl:
  case ObservableKind::HttpMethod:
  case ObservableKind::HttpUserAgent:
  case ObservableKind::TlsServerName:
  case ObservableKind::TlsVersion:
  case ObservableKind::TlsAlpn:
  case ObservableKind::TlsJa3:
  case ObservableKind::TlsJa4:
  case ObservableKind::CertificateSha1:
  case ObservableKind::CertificateSha256:
  case ObservableKind::SshBanner:
  case ObservableKind::SshHassh:
  case ObservableKind::SshHasshServer:
  case ObservableKind::ProxyTarget:
  case ObservableKind::ExecutableHash:
    return Meaning::Contact;
  case ObservableKind::DnsName:
    return Meaning::Question;
  case ObservableKind::DnsAnswerName:
  case ObservableKind::DnsAnswerAddress:
    return Meaning::Answer;
  case ObservableKind::CertificateName:
  case ObservableKind::MailHost:
  case ObservableKind::FileName:
    break;
  }
  return Meaning::Hearsay;
}

/// RFC 6762, RFC 4795: everybody on the link is asked, by a responder that serves the machine.
bool is_asked_of_all(const FlowTuple &tuple) {
  constexpr std::uint16_t kMdns = 5353, kLlmnr = 5355;
  return tuple.remote.port == kMdns || tuple.remote.port == kLlmnr || tuple.local.port == kMdns ||
         tuple.local.port == kLlmnr;
}

std::string_view why_no_process(const MatchSeen &match) {
  if (match.knocks || (match.policy && !match.policy->answered)) {
    return "the guest let nobody in: nobody in it has done anything";
  }
  if (match.indicator.observed == ObservableKind::ExecutableHash) {
    return {}; // it is the process's own file that is listed
  }
  if (match.attribution.of_carrier) {
    return "the process only holds the tunnel that the flow came in";
  }
  if (match.attribution.serves_names) {
    return "the process answers others' questions: it is their name server, not who asks";
  }
  if (match.indicator.observed == ObservableKind::DnsName && is_asked_of_all(match.flow.tuple)) {
    return "asked of everybody on the link, for whoever wants to know";
  }
  return {};
}

} // namespace

Accused accused_by(ObservableKind observed) {
  constexpr std::string_view kServer = "the flow leads to the name server that was asked";
  switch (meaning_of(observed)) {
  case Meaning::Contact:
    return {};
  case Meaning::Question:
    return {kServer, {}};
  case Meaning::Answer:
    return {kServer, "the name was only answered: whoever goes there raises an alert of its own"};
  case Meaning::Hearsay:
    break;
  }
  constexpr std::string_view kHearsay =
      "mail, certificates of many sites and file names also name who has no part in the flow";
  return {kHearsay, kHearsay};
}

Accused accused_by(const MatchSeen &match) {
  auto accused = accused_by(match.indicator.observed);
  if (accused.why_not_process.empty()) {
    accused.why_not_process = why_no_process(match);
  }
  return accused;
}

} // namespace outguard::detect
