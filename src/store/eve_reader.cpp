#include "store/eve_reader.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "facts/guest_text.h"

namespace outguard::store {

namespace {

using Json = nlohmann::json;

/// The value at a path, as printable text; "?" when it is missing, null or has parts: one nested
/// deeply would be written with as deep a stack.
std::string at(const Json &object, const char *pointer) {
  const Json::json_pointer path(pointer);
  if (!object.is_object() || !object.contains(path) || object[path].is_null() ||
      object[path].is_structured()) {
    return "?";
  }
  const auto &value = object[path];
  return GuestText(value.is_string() ? value.get<std::string>() : value.dump()).printable();
}

std::string responses(const Json &object) {
  std::string text;
  const auto list = object.find("response");
  if (list == object.end() || !list->is_array()) {
    return "no response";
  }
  for (const auto &done : *list) {
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", at(done, "/action"), at(done, "/status"));
  }
  return text.empty() ? "no response" : text;
}

} // namespace

std::optional<std::string> alert_line_from_eve(std::string_view text) {
  const auto object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || at(object, "/event_type") != "alert") {
    return std::nullopt;
  }
  return fmt::format("{} {} {} {} ({}) | pid {} {} {} | {} {}:{} -> {}:{} | {}",
                     at(object, "/timestamp"), at(object, "/vm/name"),
                     at(object, "/alert/signature"), at(object, "/alert/context/indicator/value"),
                     at(object, "/alert/context/indicator/source"), at(object, "/process/pid"),
                     at(object, "/process/comm"), at(object, "/process/exe"), at(object, "/proto"),
                     at(object, "/src_ip"), at(object, "/src_port"), at(object, "/dest_ip"),
                     at(object, "/dest_port"), responses(object));
}

} // namespace outguard::store
