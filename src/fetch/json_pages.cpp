#include "fetch/json_pages.h"

#include <algorithm>
#include <charconv>

#include <simdjson.h>

#include "base/json_numbers.h"

namespace outguard::fetch {

namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxNextBytes = 4096; ///< it becomes part of a URL

/// The document's root object; it lives as long as the parser.
std::optional<object> parse_object(simdjson::dom::parser &parser, std::string_view text) {
  object root;
  if (text.empty() || text.size() > kMaxPageBytes ||
      parser.allocate(text.size(), kMaxDepth) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  auto error = parser.parse(text.data(), text.size()).get(root);
  if (error == simdjson::NUMBER_ERROR) {
    const auto masked = mask_large_numbers(text); // one member of one object, not the page
    error = masked.empty() ? error : parser.parse(masked.data(), masked.size()).get(root);
  }
  return error == simdjson::SUCCESS ? std::optional(root) : std::nullopt;
}

std::optional<std::int64_t> number_of(const element &value) {
  std::int64_t number = 0;
  if (value.get(number) == simdjson::SUCCESS) {
    return number;
  }
  std::string_view text; // MISP writes its timestamps as texts
  if (value.get(text) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc{} && end == text.data() + text.size() && !text.empty();
  return whole ? std::optional(number) : std::nullopt;
}

} // namespace

bool is_uuid(std::string_view text) {
  constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  return text.size() == kForm.size() &&
         std::equal(text.begin(), text.end(), kForm.begin(), [](char c, char form) {
           const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           return form == '-' ? c == '-' : hex;
         });
}

std::optional<TaxiiPage> read_taxii_page(std::string_view text, const TakeItem &take) {
  simdjson::dom::parser parser;
  const auto root = parse_object(parser, text);
  if (!root) {
    return std::nullopt;
  }
  TaxiiPage page;
  if (element more; root->at_key("more").get(more) == simdjson::SUCCESS &&
                    more.get(page.more) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  if (element next; root->at_key("next").get(next) == simdjson::SUCCESS && !next.is_null()) {
    std::string_view word;
    std::int64_t number = 0; // not as the standard has it, but seen
    if (next.get(word) == simdjson::SUCCESS && word.size() <= kMaxNextBytes) {
      page.next = word;
    } else if (next.get(number) == simdjson::SUCCESS) {
      page.next = std::to_string(number);
    } else {
      return std::nullopt;
    }
  }
  element objects;
  if (root->at_key("objects").get(objects) != simdjson::SUCCESS) {
    const bool known = root->size() == 0 || root->at_key("more").error() == simdjson::SUCCESS;
    return known ? std::optional(std::move(page)) : std::nullopt;
  }
  simdjson::dom::array list;
  if (objects.get(list) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  for (const element item : list) {
    if (!item.is_object()) {
      return std::nullopt;
    }
    ++page.objects;
    if (!take(simdjson::minify(item))) {
      page.stopped = true;
      break;
    }
  }
  return page;
}

std::optional<MispManifest> read_misp_manifest(std::string_view text) {
  simdjson::dom::parser parser;
  const auto root = parse_object(parser, text);
  if (!root || root->size() > kMaxManifestEvents) {
    return std::nullopt;
  }
  MispManifest manifest;
  for (const auto &[key, value] : *root) {
    std::string uuid(key);
    std::transform(uuid.begin(), uuid.end(), uuid.begin(),
                   [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
    element timestamp;
    std::optional<std::int64_t> number;
    if (value.is_object() && value["timestamp"].get(timestamp) == simdjson::SUCCESS) {
      number = number_of(timestamp);
    }
    if (is_uuid(uuid) && number) {
      manifest.events.push_back({std::move(uuid), *number});
    } else {
      ++manifest.malformed;
    }
  }
  return manifest;
}

std::optional<std::string> read_misp_event(std::string_view text) {
  simdjson::dom::parser parser;
  const auto root = parse_object(parser, text);
  element event;
  if (!root || root->at_key("Event").get(event) != simdjson::SUCCESS || !event.is_object()) {
    return std::nullopt;
  }
  return simdjson::minify(event);
}

} // namespace outguard::fetch
