#include "store/json_value.h"

namespace outguard::store {

Json text(const GuestText &value) {
  return value.is_utf8() ? std::string(value.raw()) : value.printable();
}

Json text(const std::string &value) {
  return text(GuestText(value));
}

Json text_or_null(const GuestText &value) {
  return value.empty() ? Json() : text(value);
}

Json text_or_null(const std::string &value) {
  return text_or_null(GuestText(value));
}

Json or_null(const std::optional<GuestText> &value) {
  return value ? text(*value) : Json();
}

std::string line(const Json &object) {
  return object.dump(-1, ' ', true, Json::error_handler_t::replace);
}

} // namespace outguard::store
