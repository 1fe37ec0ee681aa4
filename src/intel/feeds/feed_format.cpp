#include "intel/feeds/feed_format.h"

#include <algorithm>
#include <string>

#include "intel/feeds/adblock_parser.h"
#include "intel/feeds/csv_parser.h"
#include "intel/feeds/dataset_parser.h"
#include "intel/feeds/rpz_parser.h"
#include "intel/feeds/zeek_parser.h"
#include "intel/lower_copy.h"

namespace outguard::intel {

namespace {

struct Named {
  std::string_view name;
  FeedFormat format;
};
constexpr Named kNames[] = {
    {"list", FeedFormat::List},
    {"hosts", FeedFormat::List},
    {"csv", FeedFormat::Csv},
    {"zeek", FeedFormat::ZeekIntel},
    {"zeek-intel", FeedFormat::ZeekIntel},
    {"suricata-dataset", FeedFormat::SuricataDataset},
    {"suricata-reputation", FeedFormat::SuricataReputation},
    {"iprep", FeedFormat::SuricataReputation},
    {"adguard", FeedFormat::AdGuard},
    {"rpz", FeedFormat::Rpz},
    {"json", FeedFormat::Json},
    {"misp", FeedFormat::Json},
    {"stix", FeedFormat::Json},
    {"taxii", FeedFormat::Json},
};

/// "[" also begins an IPv6 address with its port, and "[Adblock Plus]".
bool looks_like_json(std::string_view text) {
  constexpr auto kBlanks = " \t\r\n";
  const auto start = text.find_first_not_of(kBlanks);
  if (start == text.npos || (text[start] != '{' && text[start] != '[')) {
    return false;
  }
  const auto next = text.find_first_not_of(kBlanks, start + 1);
  return next == text.npos || std::string_view("{}[]\"").find(text[next]) != std::string_view::npos;
}

bool is_dataset_name(std::string_view file_name) {
  const auto name = lowered(file_name.substr(file_name.find_last_of('/') + 1));
  const auto holds = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  return (holds("-string") || holds("-md5") || holds("-sha256") || holds("-ip")) &&
         (holds(".lst") || holds("dataset") || holds("suricata"));
}

} // namespace

const char *to_string(FeedFormat format) {
  switch (format) {
  case FeedFormat::List:
    return "list";
  case FeedFormat::Csv:
    return "csv";
  case FeedFormat::ZeekIntel:
    return "zeek-intel";
  case FeedFormat::SuricataDataset:
    return "suricata-dataset";
  case FeedFormat::SuricataReputation:
    return "suricata-reputation";
  case FeedFormat::AdGuard:
    return "adguard";
  case FeedFormat::Rpz:
    return "rpz";
  case FeedFormat::Json:
    return "json";
  }
  return "unknown";
}

std::optional<FeedFormat> format_named(std::string_view name) {
  const auto *const found = std::find_if(std::begin(kNames), std::end(kNames),
                                         [&](const Named &known) { return known.name == name; });
  return found == std::end(kNames) ? std::nullopt : std::optional(found->format);
}

FeedFormat detect_format(std::string_view file_name, std::string_view text) {
  if (looks_like_json(text)) {
    return FeedFormat::Json;
  }
  if (looks_like_zeek_intel(text)) {
    return FeedFormat::ZeekIntel;
  }
  if (looks_like_adblock(text)) {
    return FeedFormat::AdGuard;
  }
  if (looks_like_rpz(text)) {
    return FeedFormat::Rpz;
  }
  if (looks_like_iprep(text)) {
    return FeedFormat::SuricataReputation;
  }
  if (is_dataset_name(file_name) || looks_like_dataset(text)) {
    return FeedFormat::SuricataDataset;
  }
  return looks_like_csv(text) ? FeedFormat::Csv : FeedFormat::List;
}

} // namespace outguard::intel
