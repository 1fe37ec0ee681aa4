#include "intel/feeds/csv_columns.h"

#include <algorithm>

#include "intel/domain_name.h"

namespace outguard::intel {

namespace {

constexpr std::size_t kMaxColumnName = 40; ///< longer is prose

struct Name {
  std::string_view name;
  Column column;
};

constexpr Column value(IndicatorType type) {
  return {ColumnRole::Value, type};
}
constexpr Column role(ColumnRole given) {
  return {given, std::nullopt};
}

// In lower case, with '_' for what is no letter or digit.
constexpr Name kNames[] = {
    {"ip", value(IndicatorType::Address)},
    {"ipv4", value(IndicatorType::Address)},
    {"ipv6", value(IndicatorType::Address)},
    {"ip_address", value(IndicatorType::Address)},
    {"ipaddress", value(IndicatorType::Address)},
    {"address", value(IndicatorType::Address)},
    {"addr", value(IndicatorType::Address)},
    {"dst_ip", value(IndicatorType::Address)},
    {"dstip", value(IndicatorType::Address)},
    {"dest_ip", value(IndicatorType::Address)},
    {"src_ip", value(IndicatorType::Address)},
    {"srcip", value(IndicatorType::Address)},
    {"network", value(IndicatorType::Address)},
    {"cidr", value(IndicatorType::Address)},
    {"subnet", value(IndicatorType::Address)},
    {"domain", value(IndicatorType::Domain)},
    {"domain_name", value(IndicatorType::Domain)},
    {"fqdn", value(IndicatorType::Domain)},
    {"hostname", value(IndicatorType::Domain)},
    {"host", role(ColumnRole::Value)},
    {"url", value(IndicatorType::Url)},
    {"md5", value(IndicatorType::FileMd5)},
    {"md5_hash", value(IndicatorType::FileMd5)},
    {"sha1", value(IndicatorType::FileSha1)},
    {"sha1_hash", value(IndicatorType::FileSha1)},
    {"sha256", value(IndicatorType::FileSha256)},
    {"sha256_hash", value(IndicatorType::FileSha256)},
    {"hash", role(ColumnRole::Value)},
    {"ja3", value(IndicatorType::Ja3)},
    {"ja3_md5", value(IndicatorType::Ja3)},
    {"ja3_hash", value(IndicatorType::Ja3)},
    {"ja3_fingerprint", value(IndicatorType::Ja3)},
    {"ja4", value(IndicatorType::Ja4)},
    {"ja4_fingerprint", value(IndicatorType::Ja4)},
    {"hassh", value(IndicatorType::Hassh)},
    {"indicator", role(ColumnRole::Value)},
    {"indicator_value", role(ColumnRole::Value)},
    {"ioc", role(ColumnRole::Value)},
    {"ioc_value", role(ColumnRole::Value)},
    {"observable", role(ColumnRole::Value)},
    {"value", role(ColumnRole::Value)},
    {"port", role(ColumnRole::Port)},
    {"dst_port", role(ColumnRole::Port)},
    {"dstport", role(ColumnRole::Port)},
    {"dest_port", role(ColumnRole::Port)},
    {"type", role(ColumnRole::TypeName)},
    {"ioc_type", role(ColumnRole::TypeName)},
    {"indicator_type", role(ColumnRole::TypeName)},
    {"observable_type", role(ColumnRole::TypeName)},
    {"confidence", role(ColumnRole::Confidence)},
    {"confidence_level", role(ColumnRole::Confidence)},
    {"first_seen", role(ColumnRole::FirstSeen)},
    {"first_seen_utc", role(ColumnRole::FirstSeen)},
    {"firstseen", role(ColumnRole::FirstSeen)},
    {"dateadded", role(ColumnRole::FirstSeen)},
    {"date_added", role(ColumnRole::FirstSeen)},
    {"listingdate", role(ColumnRole::FirstSeen)},
    {"created", role(ColumnRole::FirstSeen)},
    {"last_seen", role(ColumnRole::LastSeen)},
    {"last_seen_utc", role(ColumnRole::LastSeen)},
    {"lastseen", role(ColumnRole::LastSeen)},
    {"last_online", role(ColumnRole::LastSeen)},
    {"valid_from", role(ColumnRole::ValidFrom)},
    {"valid_until", role(ColumnRole::ValidUntil)},
    {"expires", role(ColumnRole::ValidUntil)},
    {"expiration", role(ColumnRole::ValidUntil)},
    {"expiry", role(ColumnRole::ValidUntil)},
    {"tags", role(ColumnRole::Tags)},
    {"tag", role(ColumnRole::Tags)},
    {"labels", role(ColumnRole::Tags)},
    {"threat_type", role(ColumnRole::Tags)},
    {"malware", role(ColumnRole::About)},
    {"malware_printable", role(ColumnRole::About)},
    {"malware_family", role(ColumnRole::About)},
    {"signature", role(ColumnRole::About)},
    {"threat", role(ColumnRole::About)},
    {"listingreason", role(ColumnRole::About)},
    {"reason", role(ColumnRole::About)},
    {"description", role(ColumnRole::About)},
    {"comment", role(ColumnRole::About)},
    {"id", role(ColumnRole::Id)},
    {"ioc_id", role(ColumnRole::Id)},
    {"sblid", role(ColumnRole::Id)},
    {"uuid", role(ColumnRole::Id)},
    {"tlp", role(ColumnRole::Tlp)},
};

struct Word {
  std::string_view word;
  std::optional<IndicatorType> type; ///< none: known, and not for this product
};

constexpr Word kWords[] = {
    {"ip_port", IndicatorType::Endpoint},
    {"ip_dst_port", IndicatorType::Endpoint},
    {"ip", IndicatorType::Address},
    {"ip_address", IndicatorType::Address},
    {"ip_dst", IndicatorType::Address},
    {"ip_src", IndicatorType::Address},
    {"ipv4", IndicatorType::Address},
    {"ipv6", IndicatorType::Address},
    {"ipv4_addr", IndicatorType::Address},
    {"ipv6_addr", IndicatorType::Address},
    {"cidr", IndicatorType::Address},
    {"subnet", IndicatorType::Address},
    {"domain", IndicatorType::Domain},
    {"domain_name", IndicatorType::Domain},
    {"hostname", IndicatorType::Domain},
    {"fqdn", IndicatorType::Domain},
    {"url", IndicatorType::Url},
    {"uri", IndicatorType::UrlPath},
    {"md5", IndicatorType::FileMd5},
    {"md5_hash", IndicatorType::FileMd5},
    {"filehash_md5", IndicatorType::FileMd5},
    {"sha1", IndicatorType::FileSha1},
    {"sha1_hash", IndicatorType::FileSha1},
    {"filehash_sha1", IndicatorType::FileSha1},
    {"sha256", IndicatorType::FileSha256},
    {"sha256_hash", IndicatorType::FileSha256},
    {"filehash_sha256", IndicatorType::FileSha256},
    {"sslcertfingerprint", IndicatorType::CertificateSha1},
    {"ja3", IndicatorType::Ja3},
    {"ja4", IndicatorType::Ja4},
    {"hassh", IndicatorType::Hassh},
    {"email", std::nullopt},
    {"email_addr", std::nullopt},
    {"email_src", std::nullopt},
    {"email_dst", std::nullopt},
    {"envelope_from", std::nullopt},
    {"body_from", std::nullopt},
    {"filename", std::nullopt},
    {"mutex", std::nullopt},
    {"yara", std::nullopt},
    {"cve", std::nullopt},
    {"filepath", std::nullopt},
    {"filehash_pehash", std::nullopt},
    {"filehash_imphash", std::nullopt},
    {"bitcoinaddress", std::nullopt},
    {"sha3_384_hash", std::nullopt},
};

std::string normalised(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const char small = ascii_lower(c);
    const bool plain = (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9');
    if (plain) {
      name += small;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (name.ends_with('_')) {
    name.pop_back();
  }
  return name;
}

Column column_of(std::string_view name) {
  const auto *const found = std::find_if(std::begin(kNames), std::end(kNames),
                                         [&](const Name &known) { return known.name == name; });
  return found == std::end(kNames) ? Column{} : found->column;
}

bool names_a_place(const Column &column) {
  return column.role == ColumnRole::Port ||
         (column.role == ColumnRole::Value &&
          (!column.type || *column.type == IndicatorType::Address ||
           *column.type == IndicatorType::Domain));
}

} // namespace

std::optional<std::vector<Column>> read_header(std::span<const std::string> names) {
  std::vector<Column> columns;
  bool reason_for_certificate = false;
  std::optional<std::size_t> reverse_name;
  for (const auto &name : names) {
    if (name.size() > kMaxColumnName) {
      return std::nullopt;
    }
    const auto plain = normalised(name);
    reverse_name = plain == "hostname" ? columns.size() : reverse_name;
    reason_for_certificate = reason_for_certificate || plain == "listingreason";
    columns.push_back(column_of(plain));
  }
  const auto holds = [&](auto &&test) { return std::any_of(columns.begin(), columns.end(), test); };
  if (!holds([](const Column &column) { return column.role == ColumnRole::Value; })) {
    return std::nullopt;
  }
  // Feodo: the hoster's name of the address, not what was used
  if (reverse_name &&
      holds([](const Column &column) { return column.type == IndicatorType::Address; })) {
    columns[*reverse_name] = {};
  }
  const bool url = holds([](const Column &column) { return column.type == IndicatorType::Url; });
  for (auto &column : columns) {
    if (url && names_a_place(column)) {
      column = {};
    }
    // abuse.ch SSLBL: "Listingdate,SHA1,Listingreason" of certificates
    if (reason_for_certificate && column.type == IndicatorType::FileSha1) {
      column.type = IndicatorType::CertificateSha1;
    }
  }
  return columns;
}

TypeWord read_type_word(std::string_view word) {
  const auto plain = normalised(word);
  const auto *const found = std::find_if(std::begin(kWords), std::end(kWords),
                                         [&](const Word &known) { return known.word == plain; });
  return found == std::end(kWords) ? TypeWord{} : TypeWord{true, found->type};
}

} // namespace outguard::intel
