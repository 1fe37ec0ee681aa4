#include "intel/guards/warning_lists.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "intel/domain_name.h"
#include "intel/guards/key_network.h"
#include "intel/lower_copy.h"
#include "intel/url.h"

namespace outguard::intel {

namespace {

constexpr std::size_t kMaxNameShown = 96;
/// First byte of a key: entries of different kinds never meet.
constexpr char kName = 'd';
constexpr char kUrl = 'u';
constexpr char kOther = 'v';
constexpr char kNetwork = 'n';

std::string printable(std::string_view text) {
  std::string copy(text.substr(0, kMaxNameShown));
  std::replace_if(
      copy.begin(), copy.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return copy;
}

std::string keyed(char kind, std::string_view text) {
  return std::string(1, kind).append(text);
}

std::string network_key(const IpNetwork &network) {
  auto key = keyed(kNetwork, std::string_view());
  key += static_cast<char>(network.prefix);
  return key.append(octet_view(network.address));
}

bool is_digest(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  return (text.size() == 32 || text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of(kHex) == text.npos;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  return first == text.npos ? std::string_view()
                            : text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

/// "address/length" or an address; host bits are cleared.
Parsed<IpNetwork> parse_network(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) {
    return reject(RejectReason::BadAddress);
  }
  unsigned prefix = most_prefix(address->family);
  if (slash != text.npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    if (error != std::errc{} || end != digits.data() + digits.size() ||
        prefix > most_prefix(address->family)) {
      return reject(RejectReason::BadPrefix);
    }
  }
  if (prefix == 0) {
    return reject(RejectReason::TooBroad); // it would refuse everything
  }
  const auto length = static_cast<std::uint8_t>(prefix);
  return IpNetwork{masked(*address, length), length};
}

/// Ports on which everybody talks to a resolver or site.
bool is_common_port(const IndicatorKey &endpoint) {
  const auto at = endpoint.bytes.size() - 2;
  const auto port = static_cast<std::uint8_t>(endpoint.bytes[at]) << 8 |
                    static_cast<std::uint8_t>(endpoint.bytes[at + 1]);
  return port == 53 || port == 80 || port == 443 || port == 853;
}

Receipt refused(RejectReason reason) {
  Receipt receipt(Taken::Guarded);
  receipt.reason = reason;
  return receipt;
}

void add_once(std::vector<std::uint16_t> &numbers, std::uint16_t number) {
  if (std::find(numbers.begin(), numbers.end(), number) == numbers.end()) {
    numbers.push_back(number);
  }
}

} // namespace

// ---- Loading ----------------------------------------------------------------------------

FeedReport WarningLists::add(const std::string &file, std::string_view json) {
  ReportWriter report(file);
  report.set_format("misp-warninglist");
  if (lists_.size() >= kMaxWarningLists) {
    return report.refuse("more than " + std::to_string(kMaxWarningLists) + " warninglists");
  }
  const auto problem = read_warning_list(json, [&](const auto &text) { take(text, report); });
  return problem.empty() ? report.finish() : report.refuse(problem);
}

void WarningLists::take(const WarningListText &text, ReportWriter &report) {
  constexpr std::string_view kTypes[] = {"cidr", "hostname", "string", "substring", "regex"};
  if (std::find(std::begin(kTypes), std::end(kTypes), text.type) == std::end(kTypes)) {
    report.set_problem("a warninglist of unknown type \"" + printable(text.type) + "\"");
    return;
  }
  List list;
  list.name = printable(text.name.empty() ? "a warninglist without name" : text.name);
  list.flag = ("warninglist:" + list.name).substr(0, kMaxTagBytes);
  list.rule = warning_rule(text.name, text.category);
  list.types = types_of(text.attributes);
  if (list.types == 0) {
    report.set_note("for no type of indicator here");
    return;
  }
  report.set_format(list.rule == WarningRule::Refuse ? "misp-warninglist, refuses"
                                                     : "misp-warninglist, flags");
  const auto id = static_cast<std::uint16_t>(lists_.size());
  const bool is_pattern = text.type == "substring" || text.type == "regex";
  pattern_types_ |= is_pattern ? list.types : 0;
  lists_.push_back(std::move(list));
  std::uint32_t number = 0;
  bool any_single = false;
  for (const auto entry : text.entries) {
    ++number;
    const auto receipt = take_entry(text.type, trimmed(entry), id);
    if (receipt.taken == Taken::Guarded && receipt.reason == RejectReason::SingleLabel) {
      report.count_ignored("single-label name"); // none is ever an indicator
      any_single = true;
    } else {
      report.count(receipt, entry, number);
    }
  }
  if (any_single) {
    report.set_note("single labels are refused everywhere");
  }
}

Receipt WarningLists::take_entry(std::string_view type, std::string_view entry,
                                 std::uint16_t list) {
  if (entry.empty()) {
    return refused(RejectReason::MissingValue);
  }
  if (entry.size() > kMaxUrlBytes) {
    return refused(RejectReason::LineTooLong);
  }
  if (type == "cidr") {
    return take_network(entry, list);
  }
  if (type == "substring" || type == "regex") {
    const bool added =
        type == "regex" ? patterns_.add_regex(entry, list) : patterns_.add_substring(entry, list);
    return added ? Receipt(Taken::Accepted) : refused(RejectReason::PatternTooComplex);
  }
  Mention mention;
  mention.list = list;
  mention.below = type == "hostname";
  return take_text(entry, mention);
}

Receipt WarningLists::take_text(std::string_view entry, Mention mention) {
  if (entry.starts_with("*.") || entry.starts_with('.')) {
    mention.below = true;
    entry.remove_prefix(entry.front() == '*' ? 2 : 1);
  }
  const auto text = lowered(entry);
  if (is_digest(text)) {
    return store(keyed(kOther, text), mention);
  }
  if (IpAddress::parse(text)) {
    return take_network(text, mention.list);
  }
  if (entry.find('/') != entry.npos) {
    const auto url = Url::parse(entry);
    if (!url) {
      return refused(url.error());
    }
    return url->target == "/" && !url->address ? store(keyed(kName, url->host), mention)
                                               : store(keyed(kUrl, url->without_scheme()), mention);
  }
  const auto name = normalise_domain(entry);
  return name ? store(keyed(kName, *name), mention) : refused(name.error());
}

Receipt WarningLists::take_network(std::string_view entry, std::uint16_t list) {
  const auto network = parse_network(entry);
  if (!network) {
    return refused(network.error());
  }
  lengths_[network->address.family == IpFamily::V6 ? 1 : 0][network->prefix] = true;
  Mention mention;
  mention.list = list;
  return store(network_key(*network), mention);
}

Receipt WarningLists::store(std::string key, Mention mention) {
  if (mentions_.size() >= kMaxWarningEntries) {
    return Taken::Full;
  }
  auto &head = heads_[std::move(key)];
  for (auto at = head; at != 0; at = mentions_[at - 1].next) {
    auto &known = mentions_[at - 1];
    if (known.list == mention.list) {
      known.below = known.below || mention.below;
      return Taken::Duplicate;
    }
  }
  mention.next = head;
  mentions_.push_back(mention);
  head = static_cast<std::uint32_t>(mentions_.size());
  return Taken::Accepted;
}

// ---- Judging ----------------------------------------------------------------------------

void WarningLists::hit(Hits &hits, std::uint16_t number, Fit fit) const {
  const auto &list = lists_[number];
  if ((list.types & type_bit(hits.type)) != 0) {
    const bool refuses = list.rule == WarningRule::Refuse && fit == Fit::Same;
    add_once(refuses ? hits.refusing : hits.flagging, number);
  }
}

void WarningLists::look(Hits &hits, std::string_view key, Fit fit, bool parent) const {
  const auto found = heads_.find(key);
  for (auto at = found == heads_.end() ? 0 : found->second; at != 0; at = mentions_[at - 1].next) {
    const auto &mention = mentions_[at - 1];
    if (!parent || mention.below) {
      hit(hits, mention.list, fit);
    }
  }
}

void WarningLists::look_network(Hits &hits, const IpNetwork &network, Fit fit) const {
  const auto &lengths = lengths_[network.address.family == IpFamily::V6 ? 1 : 0];
  for (std::uint8_t prefix = 1; prefix <= network.prefix; ++prefix) {
    if (lengths[prefix]) {
      look(hits, network_key({masked(network.address, prefix), prefix}), fit, false);
    }
  }
}

void WarningLists::look_name(Hits &hits, std::string_view name, Fit fit) const {
  look(hits, keyed(kName, name), fit, false);
  constexpr std::string_view kWww = "www.";
  if (name.starts_with(kWww)) {
    look(hits, keyed(kName, name.substr(kWww.size())), fit, false);
  }
  for (auto dot = name.find('.'); dot != name.npos; dot = name.find('.')) {
    name.remove_prefix(dot + 1);
    look(hits, keyed(kName, name), Fit::Narrower, true);
  }
}

void WarningLists::look_url(Hits &hits, std::string_view text) const {
  const auto url = Url::parse(text);
  if (!url) {
    return;
  }
  look(hits, keyed(kUrl, url->without_scheme()), Fit::Same, false);
  const auto fit = url->target == "/" ? Fit::Same : Fit::Narrower;
  if (url->address) {
    look_network(hits, {*url->address, most_prefix(url->address->family)}, fit);
  } else {
    look_name(hits, url->host, fit);
  }
}

void WarningLists::look_value(Hits &hits, const IndicatorKey &key) const {
  switch (key.type) {
  case IndicatorType::Address:
  case IndicatorType::Network:
  case IndicatorType::Endpoint:
    if (const auto network = network_of(key)) {
      const bool narrower = key.type == IndicatorType::Endpoint && !is_common_port(key);
      look_network(hits, *network, narrower ? Fit::Narrower : Fit::Same);
    }
    break;
  case IndicatorType::Domain:
    look_name(hits, key.bytes, Fit::Same);
    break;
  case IndicatorType::Url:
    look_url(hits, key.bytes);
    break;
  default:
    look(hits, keyed(kOther, key.bytes), Fit::Same, false);
    break;
  }
}

void WarningLists::look_patterns(Hits &hits, const IndicatorKey &key) {
  if ((pattern_types_ & type_bit(hits.type)) == 0) {
    return;
  }
  if (const auto text = key_text(key.type, key.prefix, key.bytes)) {
    for (const auto list : patterns_.find(*text)) {
      hit(hits, static_cast<std::uint16_t>(list), Fit::Narrower);
    }
  }
}

GuardVerdict WarningLists::verdict(Hits &hits) const {
  GuardVerdict verdict;
  if (!hits.refusing.empty()) {
    verdict.refusal = RejectReason::OnWarningList;
    verdict.guard = lists_[*std::min_element(hits.refusing.begin(), hits.refusing.end())].name;
    return verdict;
  }
  std::sort(hits.flagging.begin(), hits.flagging.end());
  for (const auto list : hits.flagging) {
    if (verdict.flags.size() < kMaxWarningFlags) {
      verdict.flags.push_back(lists_[list].flag);
    }
  }
  return verdict;
}

GuardVerdict WarningLists::judge(const FeedIndicator &indicator) {
  if (lists_.empty()) {
    return {};
  }
  Hits hits{indicator.key.type, {}, {}};
  look_value(hits, indicator.key);
  look_patterns(hits, indicator.key);
  return verdict(hits);
}

} // namespace outguard::intel
