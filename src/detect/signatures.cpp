#include "detect/signatures.h"

namespace outguard::detect {

const Signature &signature_for(IndicatorType type) {
  static constexpr std::string_view kCategory = "Threat Intelligence Match";
  static constexpr Signature kAddress{9100001, "Outguard: listed address contacted", kCategory};
  static constexpr Signature kNetwork{9100002, "Outguard: address in a listed network contacted",
                                      kCategory};
  static constexpr Signature kEndpoint{9100003, "Outguard: listed address and port contacted",
                                       kCategory};
  static constexpr Signature kDomain{9100004, "Outguard: listed domain contacted", kCategory};
  static constexpr Signature kUrl{9100005, "Outguard: listed URL requested", kCategory};
  static constexpr Signature kFingerprint{9100006, "Outguard: listed client fingerprint seen",
                                          kCategory};
  static constexpr Signature kCertificate{9100007, "Outguard: listed certificate shown", kCategory};
  static constexpr Signature kFile{9100008, "Outguard: listed file opened a connection", kCategory};
  static constexpr Signature kOther{9100000, "Outguard: listed indicator seen", kCategory};
  switch (type) {
  case IndicatorType::Address:
    return kAddress;
  case IndicatorType::Network:
    return kNetwork;
  case IndicatorType::Endpoint:
    return kEndpoint;
  case IndicatorType::Domain:
    return kDomain;
  case IndicatorType::Url:
  case IndicatorType::UrlPath:
    return kUrl;
  case IndicatorType::Ja3:
  case IndicatorType::Ja4:
  case IndicatorType::Hassh:
    return kFingerprint;
  case IndicatorType::CertificateSha1:
  case IndicatorType::CertificateSha256:
    return kCertificate;
  case IndicatorType::FileMd5:
  case IndicatorType::FileSha1:
  case IndicatorType::FileSha256:
    return kFile;
  }
  return kOther;
}

const Signature &signature_for(const MatchSeen &match) {
  static constexpr Signature kKnock{9100010, "Outguard: listed address knocked, unanswered",
                                    "Threat Intelligence Match"};
  static constexpr Signature kBeacon{9100020, "Outguard: one destination contacted like a clock",
                                     "Regular Contact"};
  static constexpr std::string_view kPolicy = "Policy Violation";
  static constexpr Signature kRefused{9100030, "Outguard: flow that the VM's policy refuses",
                                      kPolicy};
  static constexpr Signature kUndecided{
      9100031, "Outguard: flow that the VM's policy cannot decide", kPolicy};
  static constexpr Signature kKept{
      9100032, "Outguard: knock that the VM's policy refuses, unanswered", kPolicy};
  if (match.basis == MatchBasis::Beacon) {
    return kBeacon;
  }
  if (match.policy) {
    return !match.policy->answered                 ? kKept
           : match.policy->by == PolicyBy::Unknown ? kUndecided
                                                   : kRefused;
  }
  return match.knocks ? kKnock : signature_for(match.indicator.type);
}

} // namespace outguard::detect
