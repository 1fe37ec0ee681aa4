#include "intel/guards/warning_list_reader.h"

#include <simdjson.h>

namespace outguard::intel {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;

constexpr std::size_t kMaxDepth = 16;

/// Of an element or the result of looking for one.
template <class Value> std::string_view text_of(const Value &value) {
  std::string_view text;
  return value.get(text) == simdjson::SUCCESS ? text : std::string_view();
}

void add_texts(const array &from, std::vector<std::string_view> &texts, std::size_t most) {
  for (const auto value : from) {
    if (texts.size() == most) {
      return;
    }
    texts.push_back(text_of(value));
  }
}

} // namespace

std::string read_warning_list(std::string_view json,
                              const std::function<void(const WarningListText &)> &take) {
  if (json.size() > kMaxWarningListBytes) {
    return "JSON of more than 64 MiB";
  }
  simdjson::dom::parser parser;
  element root;
  auto error = parser.allocate(json.size(), kMaxDepth);
  if (error == simdjson::SUCCESS) {
    error = parser.parse(json.data(), json.size()).get(root);
  }
  if (error != simdjson::SUCCESS) {
    return std::string("JSON broken: ") + simdjson::error_message(error);
  }
  array entries;
  if (!root.is_object() || root["list"].get(entries) != simdjson::SUCCESS) {
    return "JSON, but no MISP warninglist: it has no `list`";
  }
  WarningListText list;
  list.name = text_of(root["name"]);
  list.type = text_of(root["type"]);
  list.category = text_of(root["category"]);
  array attributes;
  if (root["matching_attributes"].get(attributes) == simdjson::SUCCESS) {
    add_texts(attributes, list.attributes, kMaxMatchingAttributes);
  }
  add_texts(entries, list.entries, json.size()); // the document's size bounds them
  take(list);
  return {};
}

} // namespace outguard::intel
