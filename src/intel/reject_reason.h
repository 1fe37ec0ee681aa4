#pragma once
// Why a line of a feed gave no indicator. A closed list, so that it can be counted and shown.

#include <cstdint>

#include <tl/expected.hpp>

namespace outguard::intel {

enum class RejectReason : std::uint8_t {
  LineTooLong,
  ControlCharacter,
  TrailingText,
  NotAnIndicator,
  BadAddress,
  BadPort,
  BadPrefix,
  HostBits,
  TooBroad,
  ReservedRange,
  PrivateRange,
  DocumentationRange,
  SpecialUseName,
  BadIdna,
  SingleLabel,
  NameTooLong,
  BadLabel,
  PortAfterName,
  BadScheme,
  UserInUrl,
  UrlTooLong,
  BadHash,
  EmptyDataHash,
  BadFingerprint,
  PathTooShort,
  BadEncoding,
  BadTime,
  BadConfidence,
  TypeUnknown,
  TypeMismatch,
  MissingValue,
  TooManyFields,
  QuoteNotClosed,
  BadRule,
  BadRecord,
  OutsideZone,
  BadPattern,
  PatternTooComplex,
  Expired,
  BadOption,
  PublicSuffix,
  AllowsSuffix,
  RootServer,
  PublicResolver,
  OnWarningList,
  IndexFull,
};
inline constexpr std::size_t kRejectReasons = static_cast<std::size_t>(RejectReason::IndexFull) + 1;

[[nodiscard]] const char *to_string(RejectReason reason);
/// True: the value is sound, and refused for what it means. False: it is no such value.
[[nodiscard]] bool is_guard(RejectReason reason);

template <class T> using Parsed = tl::expected<T, RejectReason>;
[[nodiscard]] inline tl::unexpected<RejectReason> reject(RejectReason reason) {
  return tl::unexpected<RejectReason>(reason);
}

} // namespace outguard::intel
