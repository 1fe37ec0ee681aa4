#include "api/answers.h"

#include <algorithm>
#include <utility>

#include "store/action_json.h"
#include "store/protection_json.h"

namespace outguard::api {

namespace {

using store::Json;
using store::MemberReader;

constexpr auto kLastCode = static_cast<unsigned>(ErrorCode::Refused);

std::string word_of(ErrorCode code) {
  std::string word = to_string(code);
  std::replace(word.begin(), word.end(), ' ', '_');
  return word;
}

Json parse(std::string_view line) {
  return Json::parse(line.begin(), line.end(), nullptr, false);
}

tl::unexpected<Error> malformed(std::string_view line) {
  if (const auto refused = refusal_in(line)) {
    return tl::unexpected(*refused);
  }
  return fail(ErrorCode::InvalidInput, "the supervisor's answer is malformed: it may be of another "
                                       "version than this command");
}

/// Members of an answer that is none of a refusal.
MemberReader members_of(const Json &json, bool &ok) {
  MemberReader members(json);
  members.required("ok", ok, store::read_bool);
  return members;
}

/// A reader of a list of what `read` reads.
template <class Read> auto each(Read read) {
  return [read](const Json &json) {
    using Value = typename decltype(read(json))::value_type;
    std::optional<std::vector<Value>> values;
    if (!json.is_array()) {
      return values;
    }
    values.emplace();
    for (const auto &one : json) {
      auto value = read(one);
      if (!value) {
        return std::optional<std::vector<Value>>();
      }
      values->push_back(std::move(*value));
    }
    return values;
  };
}

} // namespace

std::string refusal_line(const Error &why) {
  return store::line(
      {{"ok", false}, {"code", word_of(why.code)}, {"error", store::text(why.message)}});
}

std::optional<Error> refusal_in(std::string_view line) {
  const auto json = parse(line);
  bool ok = true;
  std::string code, message;
  auto members = members_of(json, ok);
  members.required("code", code, store::read_text).required("error", message, store::read_text);
  if (!members.good() || ok) {
    return std::nullopt;
  }
  Error error{ErrorCode::SystemFailed, GuestText(message).printable()};
  for (unsigned i = 0; i <= kLastCode; ++i) {
    if (word_of(static_cast<ErrorCode>(i)) == code) {
      error.code = static_cast<ErrorCode>(i);
    }
  }
  return error;
}

std::string answer_line(const ActionRecord &record) {
  return store::line({{"ok", true}, {"action", store::action_json(record)}});
}

Result<ActionRecord> parse_action(std::string_view line) {
  const auto json = parse(line);
  bool ok = false;
  ActionRecord record;
  auto members = members_of(json, ok);
  members.required("action", record, store::read_action);
  return members.good() && ok ? Result<ActionRecord>(std::move(record)) : malformed(line);
}

std::string answer_line(const ActionList &list) {
  auto actions = Json::array();
  for (const auto &record : list.actions) {
    actions.push_back(store::action_json(record));
  }
  return store::line({{"ok", true}, {"actions", std::move(actions)}, {"left_out", list.left_out}});
}

Result<ActionList> parse_actions(std::string_view line) {
  const auto json = parse(line);
  bool ok = false;
  ActionList list;
  auto members = members_of(json, ok);
  members.required("actions", list.actions, each(store::read_action))
      .required("left_out", list.left_out, store::read_number);
  return members.good() && ok ? Result<ActionList>(std::move(list)) : malformed(line);
}

std::string answer_line(const AllowAnswer &answer) {
  return store::line({{"ok", true},
                      {"allowed", answer.allowed},
                      {"reason", store::text_or_null(answer.reason)},
                      {"what", store::text(answer.what)}});
}

Result<AllowAnswer> parse_allowed(std::string_view line) {
  const auto json = parse(line);
  bool ok = false;
  AllowAnswer answer;
  auto members = members_of(json, ok);
  members.required("allowed", answer.allowed, store::read_bool)
      .optional("reason", answer.reason, store::read_text)
      .required("what", answer.what, store::read_text);
  return members.good() && ok ? Result<AllowAnswer>(std::move(answer)) : malformed(line);
}

std::string answer_line(const Protection &entry) {
  return store::line({{"ok", true}, {"entry", store::protection_json(entry)}});
}

Result<Protection> parse_protection_answer(std::string_view line) {
  const auto json = parse(line);
  bool ok = false;
  Protection entry;
  auto members = members_of(json, ok);
  members.required("entry", entry, store::read_protection);
  return members.good() && ok ? Result<Protection>(std::move(entry)) : malformed(line);
}

std::string answer_line(const std::vector<Protection> &entries) {
  auto list = Json::array();
  for (const auto &entry : entries) {
    list.push_back(store::protection_json(entry));
  }
  return store::line({{"ok", true}, {"entries", std::move(list)}});
}

Result<std::vector<Protection>> parse_protections(std::string_view line) {
  const auto json = parse(line);
  bool ok = false;
  std::vector<Protection> entries;
  auto members = members_of(json, ok);
  members.required("entries", entries, each(store::read_protection));
  return members.good() && ok ? Result<std::vector<Protection>>(std::move(entries))
                              : malformed(line);
}

std::string done_line() {
  return store::line({{"ok", true}});
}

Result<void> parse_done(std::string_view line) {
  const auto json = parse(line);
  bool ok = false;
  const auto members = members_of(json, ok);
  return members.good() && ok ? Result<void>() : malformed(line);
}

std::string action_row(const ActionRecord &record) {
  return store::line(store::action_json(record));
}

std::string protection_row(const Protection &entry) {
  return store::line(store::protection_json(entry));
}

std::string allowed_row(const AllowAnswer &answer) {
  return store::line({{"what", store::text(answer.what)},
                      {"allowed", answer.allowed},
                      {"reason", store::text_or_null(answer.reason)}});
}

} // namespace outguard::api
