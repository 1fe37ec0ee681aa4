#pragma once
// An action as JSON: in the API, in `action list -o json`. Strict to read: a member that is not
// known, or of another type, is an error. For sources of this folder and of api only, as it brings
// the JSON library. Pure functions; nothing throws.

#include "facts/action.h"
#include "store/json_value.h"

namespace outguard::store {

/// {"kind":"flow","proto":"tcp","local":"A:P","remote":"A:P"}, {"kind":"remote","remote":"A/N"},
/// {"kind":"port","proto":"tcp","port":22,"direction":"in"}, {"kind":"isolation","allowed":[...]}
[[nodiscard]] Json rule_json(const NetworkRule &rule);
[[nodiscard]] std::optional<NetworkRule> read_rule(const Json &json);

[[nodiscard]] Json action_json(const ActionRecord &record);
[[nodiscard]] std::optional<ActionRecord> read_action(const Json &json);

/// What to_string(action) says.
[[nodiscard]] std::optional<ResponseAction> read_response_action(const Json &json);

/// Takes an object's members one by one; good() once none is left over and each was of its type.
class MemberReader {
public:
  explicit MemberReader(const Json &json) : json_(json), good_(json.is_object()) {}

  /// `read` makes a std::optional of the member. Fine if it is not there, or null.
  template <class T, class Read> MemberReader &optional(const char *name, T &value, Read read) {
    const auto found = good_ ? json_.find(name) : json_.end();
    if (found == json_.end()) {
      return *this;
    }
    ++taken_;
    if (!found->is_null()) {
      auto got = read(*found);
      good_ = got.has_value();
      if (good_) {
        value = std::move(*got);
      }
    }
    return *this;
  }
  template <class T, class Read> MemberReader &required(const char *name, T &value, Read read) {
    good_ = good_ && json_.contains(name) && !json_[name].is_null();
    return optional(name, value, read);
  }
  [[nodiscard]] bool good() const { return good_ && taken_ == json_.size(); }

private:
  const Json &json_;
  std::size_t taken_ = 0;
  bool good_;
};

[[nodiscard]] std::optional<std::string> read_text(const Json &json); ///< at most 4 KiB
[[nodiscard]] std::optional<bool> read_bool(const Json &json);
[[nodiscard]] std::optional<std::int64_t> read_number(const Json &json); ///< from 0 on
/// Nanoseconds of the wall clock as RFC 3339; 0 is null.
[[nodiscard]] Json time_json(std::int64_t nanoseconds);
[[nodiscard]] std::optional<std::int64_t> read_time(const Json &json);

} // namespace outguard::store
