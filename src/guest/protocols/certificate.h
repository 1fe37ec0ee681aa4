#pragma once
// Names in an X.509 certificate (RFC 5280; DER of X.690): the subject's common name and the DNS
// alternative names. Only the path to them is walked, without recursion; nothing is verified. Pure.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/observable.h"

namespace outguard::guest {

/// Names of one certificate that are told; the largest on shared hosts have about 100.
inline constexpr std::size_t kMostCertificateNames = 256;

/// Tells each name once: the common name, then the alternative names but that one. Returns how many
/// there were beyond kMostCertificateNames.
std::size_t observe_certificate_names(std::span<const std::uint8_t> der, std::string &scratch,
                                      ObservableSink &sink);

} // namespace outguard::guest
