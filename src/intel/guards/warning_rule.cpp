#include "intel/guards/warning_rule.h"

#include <algorithm>
#include <iterator>

#include "intel/lower_copy.h"

namespace outguard::intel {

namespace {

struct Attribute {
  std::string_view name;
  std::uint32_t types;
};
constexpr std::uint32_t kAddresses =
    type_bit(IndicatorType::Address) | type_bit(IndicatorType::Network);
// MISP's attribute types. Composite ones ("filename|md5") say no more than their parts, which every
// list with them names too; "domain|ip" alone is for neither part alone.
constexpr Attribute kAttributes[] = {
    {"ip-src", kAddresses},
    {"ip-dst", kAddresses},
    {"ip-src|port", type_bit(IndicatorType::Endpoint)},
    {"ip-dst|port", type_bit(IndicatorType::Endpoint)},
    {"domain", type_bit(IndicatorType::Domain)},
    {"hostname", type_bit(IndicatorType::Domain)},
    {"url", type_bit(IndicatorType::Url)},
    {"uri", type_bit(IndicatorType::Url)},
    {"md5", type_bit(IndicatorType::FileMd5)},
    {"sha1", type_bit(IndicatorType::FileSha1)},
    {"sha256", type_bit(IndicatorType::FileSha256)},
    {"x509-fingerprint-sha1", type_bit(IndicatorType::CertificateSha1)},
    {"x509-fingerprint-sha256", type_bit(IndicatorType::CertificateSha256)},
    {"ja3-fingerprint-md5", type_bit(IndicatorType::Ja3)},
    {"hassh-md5", type_bit(IndicatorType::Hassh)},
};

} // namespace

std::uint32_t types_of(const std::vector<std::string_view> &attributes) {
  std::uint32_t types = attributes.empty() ? ~std::uint32_t{0} : 0;
  for (const auto name : attributes) {
    for (const auto &known : kAttributes) {
      types |= known.name == name ? known.types : 0;
    }
  }
  return types;
}

WarningRule warning_rule(std::string_view name, std::string_view category) {
  if (category == "known") {
    return WarningRule::Inform;
  }
  if (category == "false_positive") {
    return WarningRule::Refuse;
  }
  constexpr std::string_view kInforming[] = {
      "amazon aws",
      "akamai",
      "ipv4 public dns",
      "ipv6 public dns",
      "azure",
      "google cloud",
      "oracle cloud",
      "ovh",
      "github ip",
      "vpn",
      "private relay",
      "zscaler",
      "telegram",
      "scan",
      "tenable",
      "cortex",
      "connection-attempt",
      "check-host",
      "gptbot",
      "gpt crawler",
      "sinkhole",
      "smtp sending",
      "attack simulator",
      "top 20,000",
      "top 50,000",
      "top 100,000",
      "top 20 000",
  };
  const auto text = lowered(name);
  return std::any_of(std::begin(kInforming), std::end(kInforming),
                     [&](auto part) { return text.find(part) != text.npos; })
             ? WarningRule::Inform
             : WarningRule::Refuse;
}

} // namespace outguard::intel
