#include "store/intel_explanation.h"

#include <algorithm>

#include "store/hit_object.h"

namespace outguard::store {

namespace {

Json indicators_of(const ValueExplained &explained) {
  Json all = Json::array();
  for (const auto &indicator : explained.indicators) {
    Json object = hit_object(indicator.hit);
    object["state"] = to_string(indicator.state);
    Json sources = Json::array();
    for (const auto &source : indicator.sources) {
      sources.push_back(text(source));
    }
    object["sources"] = std::move(sources);
    all.push_back(std::move(object));
  }
  return all;
}

Json allowed_object(const AllowEntry &entry) {
  return {{"value", text(entry.value)},
          {"comment", text_or_null(entry.comment)},
          {"source", text(entry.source)},
          {"line", entry.line},
          {"valid_until", time_or_null(entry.valid_until)}};
}

std::string text_at(const Json &event, const char *pointer) {
  const Json::json_pointer path(pointer);
  if (!event.contains(path)) {
    return "";
  }
  const auto &value = event[path];
  return value.is_string()            ? value.get<std::string>()
         : value.is_number_unsigned() ? value.dump()
                                      : "";
}

void add_part(std::vector<AlertPart> &parts, std::string what, std::string value) {
  const bool known = std::any_of(parts.begin(), parts.end(),
                                 [&](const AlertPart &part) { return part.value == value; });
  if (!value.empty() && !known) {
    parts.push_back({std::move(what), std::move(value)});
  }
}

std::string end_of(const Json &event, const char *address_at, const char *port_at) {
  auto address = text_at(event, address_at);
  const auto port = text_at(event, port_at);
  if (address.empty() || port.empty() || port == "0") {
    return address;
  }
  return address.find(':') == address.npos ? address + ":" + port : "[" + address + "]:" + port;
}

} // namespace

const char *verdict(const Explanation &explanation) {
  const auto &all = explanation.explained.indicators;
  for (const auto state :
       {IndicatorState::Matches, IndicatorState::Allowed, IndicatorState::Removed,
        IndicatorState::NotYetValid, IndicatorState::Expired}) {
    if (std::any_of(all.begin(), all.end(), [&](const auto &one) { return one.state == state; })) {
      return to_string(state);
    }
  }
  return explanation.refused.empty() ? "not_listed" : "refused";
}

std::string explanation_json(const Explanation &explanation) {
  const auto &explained = explanation.explained;
  const auto &judged = explanation.judged;
  Json refused = Json::array();
  for (const auto &one : explanation.refused) {
    refused.push_back({{"feed", text(one.feed)},
                       {"line", one.line.line},
                       {"reason", one.line.reason},
                       {"text", text(one.line.text)}});
  }
  Json tried = Json::array();
  for (const auto &one : explanation.tried) {
    tried.push_back(text(one));
  }
  return line(
      {{"what", explanation.what},
       {"value", text(explanation.value)},
       {"verdict", verdict(explanation)},
       {"indicators", indicators_of(explained)},
       {"allowed_by", explained.allowed_by ? allowed_object(*explained.allowed_by) : Json()},
       {"a_labels", text_or_null(explained.a_labels)},
       {"u_labels", text_or_null(explained.u_labels)},
       {"canonical", text_or_null(judged.canonical)},
       {"guard", judged.by_guard ? Json(judged.refusal) : Json()},
       {"refused", std::move(refused)},
       {"tried", std::move(tried)}});
}

std::vector<AlertPart> parts_of_eve(std::string_view json, std::string_view flow_id) {
  const auto event = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  std::vector<AlertPart> parts;
  if (!event.is_object() || (!flow_id.empty() && text_at(event, "/flow_id") != flow_id)) {
    return parts;
  }
  add_part(parts, "source", end_of(event, "/src_ip", "/src_port"));
  add_part(parts, "destination", end_of(event, "/dest_ip", "/dest_port"));
  const auto kind = text_at(event, "/alert/context/indicator/matched/kind");
  add_part(parts, kind.empty() ? "matched" : GuestText(kind).printable(),
           text_at(event, "/alert/context/indicator/matched/value"));
  // Of other events of this flow, and of other tools' alerts.
  add_part(parts, "tls-sni", text_at(event, "/tls/sni"));
  add_part(parts, "http-host", text_at(event, "/http/hostname"));
  add_part(parts, "dns-query", text_at(event, "/dns/rrname"));
  return parts;
}

} // namespace outguard::store
