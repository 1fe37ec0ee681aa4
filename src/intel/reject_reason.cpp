#include "intel/reject_reason.h"

namespace outguard::intel {

const char *to_string(RejectReason reason) {
  switch (reason) {
  case RejectReason::LineTooLong:
    return "line too long";
  case RejectReason::ControlCharacter:
    return "control character";
  case RejectReason::TrailingText:
    return "text after the indicator";
  case RejectReason::NotAnIndicator:
    return "not an address, network, domain or URL";
  case RejectReason::BadAddress:
    return "malformed address";
  case RejectReason::BadPort:
    return "bad port";
  case RejectReason::BadPrefix:
    return "bad prefix length";
  case RejectReason::HostBits:
    return "host bits set in network";
  case RejectReason::TooBroad:
    return "network too broad";
  case RejectReason::ReservedRange:
    return "reserved range";
  case RejectReason::PrivateRange:
    return "private range";
  case RejectReason::DocumentationRange:
    return "documentation range";
  case RejectReason::SpecialUseName:
    return "special-use name";
  case RejectReason::BadIdna:
    return "malformed international name";
  case RejectReason::SingleLabel:
    return "single-label name";
  case RejectReason::NameTooLong:
    return "name too long";
  case RejectReason::BadLabel:
    return "bad label in name";
  case RejectReason::PortAfterName:
    return "port after a domain name";
  case RejectReason::BadScheme:
    return "unsupported URL scheme";
  case RejectReason::UserInUrl:
    return "ambiguous user name in URL";
  case RejectReason::UrlTooLong:
    return "URL too long";
  case RejectReason::BadHash:
    return "malformed hash";
  case RejectReason::EmptyDataHash:
    return "hash of empty data";
  case RejectReason::BadFingerprint:
    return "malformed fingerprint";
  case RejectReason::PathTooShort:
    return "path too short to mean anything on every host";
  case RejectReason::BadEncoding:
    return "neither base64 nor what the set holds";
  case RejectReason::BadTime:
    return "malformed time";
  case RejectReason::BadConfidence:
    return "confidence or score out of range";
  case RejectReason::TypeUnknown:
    return "unknown indicator type";
  case RejectReason::TypeMismatch:
    return "value is not of the type stated";
  case RejectReason::MissingValue:
    return "no value";
  case RejectReason::TooManyFields:
    return "too many fields";
  case RejectReason::QuoteNotClosed:
    return "quote not closed";
  case RejectReason::BadRule:
    return "malformed filter rule";
  case RejectReason::BadRecord:
    return "malformed record";
  case RejectReason::OutsideZone:
    return "name outside its zone";
  case RejectReason::BadPattern:
    return "malformed STIX pattern";
  case RejectReason::PatternTooComplex:
    return "STIX pattern too complex";
  case RejectReason::Expired:
    return "expired";
  case RejectReason::BadOption:
    return "not until=DATE or a comment";
  case RejectReason::PublicSuffix:
    return "public suffix: everybody's names are under it";
  case RejectReason::AllowsSuffix:
    return "public suffix: *.NAME allows everybody's names under it";
  case RejectReason::RootServer:
    return "DNS root server";
  case RejectReason::PublicResolver:
    return "large public DNS resolver";
  case RejectReason::OnWarningList:
    return "on a warninglist";
  case RejectReason::IndexFull:
    return "indicator limit reached";
  }
  return "unknown";
}

bool is_guard(RejectReason reason) {
  switch (reason) {
  case RejectReason::TooBroad:
  case RejectReason::ReservedRange:
  case RejectReason::PrivateRange:
  case RejectReason::DocumentationRange:
  case RejectReason::SpecialUseName:
  case RejectReason::EmptyDataHash:
  case RejectReason::PathTooShort:
  case RejectReason::PublicSuffix:
  case RejectReason::RootServer:
  case RejectReason::PublicResolver:
  case RejectReason::OnWarningList:
    return true;
  default:
    return false;
  }
}

} // namespace outguard::intel
