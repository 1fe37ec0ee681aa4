#include "api/status_json.h"

#include <array>
#include <type_traits>

#include "api/answers.h"
#include "store/json_value.h"

namespace outguard::api {

namespace {

using store::Json;

// ---- Writing

template <class T> Json to_json(const T &value);

Json to_json(const std::string &value) {
  return store::text_or_null(value);
}

Json to_json(const Time &value) {
  return value ? Json(rfc3339_timestamp(*value)) : Json();
}

Json to_json(const std::vector<NamedCount> &counts) {
  auto object = Json::object();
  for (const auto &count : counts) {
    object[store::text(count.name).get<std::string>()] = count.value;
  }
  return object;
}

template <class T> Json to_json(const std::vector<T> &items) {
  auto list = Json::array();
  for (const auto &item : items) {
    list.push_back(to_json(item));
  }
  return list;
}

template <class T> Json to_json(const T &value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return value;
  } else {
    auto object = Json::object();
    T::fields(value, [&](const char *name, const auto &member) { object[name] = to_json(member); });
    return object;
  }
}

// ---- Reading: true when the value has the member's type

template <class T> bool read(const Json &json, T &value);

bool read(const Json &json, std::string &value) {
  if (json.is_string()) {
    value = json.get<std::string>();
  }
  return json.is_string() || json.is_null();
}

/// As rfc3339_timestamp() writes it.
bool read(const Json &json, Time &value) {
  if (json.is_null()) {
    return true;
  }
  if (!json.is_string()) {
    return false;
  }
  value = parse_rfc3339(json.get<std::string>());
  return value.has_value();
}

bool read(const Json &json, std::vector<NamedCount> &counts) {
  if (!json.is_object()) {
    return false;
  }
  for (const auto &[name, value] : json.items()) {
    std::uint64_t count = 0;
    if (!read(value, count)) {
      return false;
    }
    counts.push_back({name, count});
  }
  return true;
}

template <class T> bool read(const Json &json, std::vector<T> &items) {
  if (!json.is_array()) {
    return false;
  }
  for (const auto &one : json) {
    if (!read(one, items.emplace_back())) {
      return false;
    }
  }
  return true;
}

template <class T> bool read(const Json &json, T &value) {
  if constexpr (std::is_same_v<T, bool>) {
    value = json.is_boolean() && json.get<bool>();
    return json.is_boolean();
  } else if constexpr (std::is_arithmetic_v<T>) {
    const bool good = std::is_unsigned_v<T> ? json.is_number_unsigned() : json.is_number_integer();
    value = good ? json.get<T>() : T{};
    return good;
  } else {
    bool good = json.is_object();
    T::fields(value, [&](const char *name, auto &member) {
      if (const auto found = good ? json.find(name) : json.end(); found != json.end()) {
        good = read(*found, member);
      }
    });
    return good;
  }
}

Json parse(std::string_view text) {
  return Json::parse(text.begin(), text.end(), nullptr, false);
}

} // namespace

std::string answer_line(const SupervisorStatus &status) {
  return store::line({{"ok", true}, {"status", to_json(status)}});
}

Result<SupervisorStatus> parse_status(std::string_view line) {
  const auto json = parse(line);
  if (!json.is_object() || !json.contains("ok") || !json["ok"].is_boolean()) {
    return fail(ErrorCode::InvalidInput, "the answer is no JSON line of a supervisor");
  }
  if (!json["ok"].get<bool>()) {
    const auto why = refusal_in(line);
    return fail(why ? why->code : ErrorCode::Refused,
                "the supervisor refused" + (why ? ": " + why->message : std::string()));
  }
  SupervisorStatus status;
  if (!json.contains("status") || !read(json["status"], status)) {
    return fail(ErrorCode::InvalidInput, "the supervisor's status is malformed");
  }
  return status;
}

std::string supervisor_json(const SupervisorStatus &status) {
  return store::line({{"supervisor", to_json(status)}});
}

std::string no_supervisor_json(const std::string &reason) {
  return store::line({{"supervisor", nullptr}, {"reason", store::text(reason)}});
}

std::string no_guard_json(const std::string &reason) {
  return store::line(
      {{"guard", nullptr}, {"supervisor", nullptr}, {"unguarded", store::text(reason)}});
}

std::string guard_json(const SupervisorStatus &status, const GuardStatus &guard) {
  auto whole = to_json(status);
  whole.erase("guards");
  return store::line({{"guard", to_json(guard)}, {"supervisor", std::move(whole)}});
}

} // namespace outguard::api
