#include "respond/nft_text.h"

#include <charconv>

namespace outguard::respond {

namespace {

constexpr std::int64_t kMostNumber = std::int64_t{1} << 40; // in any unit; keeps sums in range
constexpr std::string_view kBlanks = " \t\n";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos
             ? std::string_view()
             : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Takes what is before `end` off the front, and `end` too.
std::string_view take_until(std::string_view &text, std::string_view end) {
  const auto at = text.find(end);
  const auto taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + end.size());
  return taken;
}

std::vector<NftElement> parse_elements(std::string_view text) {
  std::vector<NftElement> elements;
  while (!text.empty()) {
    auto element = trimmed(take_until(text, ","));
    const auto left = parse_nft_expiry(element);
    if (!left) {
      continue;
    }
    auto key = take_until(element, " timeout ");
    NftElement parsed;
    parsed.left = *left;
    while (!key.empty()) {
      auto field = trimmed(take_until(key, " . "));
      if (field.size() >= 2 && field.front() == '"' && field.back() == '"') {
        field = field.substr(1, field.size() - 2);
      }
      parsed.fields.emplace_back(field);
    }
    elements.push_back(std::move(parsed));
  }
  return elements;
}

std::uint64_t number_after(std::string_view text, std::string_view word) {
  const auto at = text.find(word);
  std::uint64_t number = 0;
  if (at != std::string_view::npos) {
    text.remove_prefix(at + word.size());
    (void)std::from_chars(text.data(), text.data() + text.size(), number);
  }
  return number;
}

} // namespace

std::optional<std::chrono::seconds> parse_nft_expiry(std::string_view text) {
  constexpr std::string_view kKey = " expires ";
  const auto at = text.find(kKey);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_prefix(at + kKey.size());
  std::chrono::milliseconds sum{0};
  for (int parts = 0; parts < 8; ++parts) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) {
      break;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto unit = text.substr(0, text.find_first_of("0123456789 \n},"));
    text.remove_prefix(unit.size());
    if (number > kMostNumber) {
      return std::nullopt;
    }
    sum += unit == "ms"  ? std::chrono::milliseconds(number)
           : unit == "s" ? std::chrono::seconds(number)
           : unit == "m" ? std::chrono::minutes(number)
           : unit == "h" ? std::chrono::hours(number)
                         : std::chrono::hours(24 * number);
  }
  return std::chrono::ceil<std::chrono::seconds>(sum);
}

NftTable parse_nft_table(std::string_view text) {
  NftTable table;
  while (!text.empty()) {
    auto line = trimmed(take_until(text, "\n"));
    const auto kind = take_until(line, " ");
    const bool opens = line.size() > 2 && line.substr(line.size() - 2) == " {";
    if (!opens || (kind != "set" && kind != "counter")) {
      continue;
    }
    const std::string name(line.substr(0, line.size() - 2));
    // Up to the object's closing brace, at the depth of its opening.
    auto body = take_until(text, "\n\t}");
    if (kind == "counter") {
      table.packets[name] = number_after(body, "packets ");
      continue;
    }
    (void)take_until(body, "elements = {");
    table.sets[name] = parse_elements(take_until(body, "}"));
  }
  return table;
}

} // namespace outguard::respond
