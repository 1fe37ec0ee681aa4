#include "api/requests.h"

#include <array>
#include <limits>

#include "store/action_json.h"

namespace outguard::api {

namespace {

using store::Json;
using store::MemberReader;
using Milliseconds = std::chrono::milliseconds;

// ---- Each request's members, but for its verb

Json members_of(const StatusAsked &) {
  return Json::object();
}
Json members_of(const AcceptLosses &) {
  return Json::object();
}
Json members_of(const Act &act) {
  Json json{{"action", to_string(act.action)}, {"vm", store::text(act.vm)}};
  if (act.pid != 0) {
    json["pid"] = act.pid;
  }
  if (act.tree) {
    json["tree"] = true;
  }
  if (act.rule) {
    json["rule"] = store::rule_json(*act.rule);
  }
  if (act.ttl.count() != 0) {
    json["ttl_s"] = act.ttl.count();
  }
  if (!act.why.empty()) {
    json["why"] = store::text(act.why);
  }
  if (act.dry_run) {
    json["dry_run"] = true;
  }
  json["wait_ms"] = act.wait.count();
  return json;
}
Json members_of(const ListActions &list) {
  return {{"most", list.most}};
}
Json members_of(const ShowAction &show) {
  return {{"id", store::text(show.id)}, {"wait_ms", show.wait.count()}};
}
Json members_of(const UndoAction &undo) {
  return {{"id", store::text(undo.id)}, {"wait_ms", undo.wait.count()}};
}
Json members_of(const ApproveAction &approve) {
  return {{"id", store::text(approve.id)},
          {"plan_hash", store::text(approve.plan_hash)},
          {"wait_ms", approve.wait.count()}};
}
Json members_of(const CheckAllowed &check) {
  Json json{{"vm", store::text(check.vm)}};
  if (check.pid != 0) {
    json["pid"] = check.pid;
  }
  if (check.remote) {
    json["remote"] = check.remote->to_string();
  }
  return json;
}
Json members_of(const AddAllowed &add) {
  Json json{{"what", store::text(add.what)}, {"why", store::text(add.why)}};
  if (!add.vm.empty()) {
    json["vm"] = store::text(add.vm);
  }
  if (add.ttl.count() != 0) {
    json["ttl_s"] = add.ttl.count();
  }
  return json;
}
Json members_of(const RemoveAllowed &remove) {
  return {{"id", store::text(remove.id)}};
}
Json members_of(const ListAllowed &) {
  return Json::object();
}

constexpr std::array<const char *, std::variant_size_v<Request>> kVerbs{
    "status",         "accept",      "act",       "action-list",  "action-show", "action-undo",
    "action-approve", "allow-check", "allow-add", "allow-remove", "allow-list"};

// ---- Reading

std::optional<Milliseconds> read_wait(const Json &json) {
  const auto number = store::read_number(json);
  return number && Milliseconds(*number) <= kLongestWait ? std::optional(Milliseconds(*number))
                                                         : std::nullopt;
}

/// A block is never for longer than a year.
std::optional<std::chrono::seconds> read_ttl(const Json &json) {
  constexpr std::int64_t kYear = std::int64_t{366} * 86'400;
  const auto number = store::read_number(json);
  return number && *number <= kYear ? std::optional(std::chrono::seconds(*number)) : std::nullopt;
}

std::optional<std::int32_t> read_pid(const Json &json) {
  const auto number = store::read_number(json);
  return number && *number >= 1 && *number <= std::numeric_limits<std::int32_t>::max()
             ? std::optional(static_cast<std::int32_t>(*number))
             : std::nullopt;
}

std::optional<std::uint32_t> read_most(const Json &json) {
  const auto number = store::read_number(json);
  return number && *number >= 1 && *number <= 10'000
             ? std::optional(static_cast<std::uint32_t>(*number))
             : std::nullopt;
}

std::optional<IpNetwork> read_remote(const Json &json) {
  const auto text = store::read_text(json);
  return text ? IpNetwork::parse(*text) : std::nullopt;
}

void read(MemberReader &, StatusAsked &) {}
void read(MemberReader &, AcceptLosses &) {}
void read(MemberReader &members, Act &act) {
  members.required("action", act.action, store::read_response_action)
      .required("vm", act.vm, store::read_text)
      .optional("pid", act.pid, read_pid)
      .optional("tree", act.tree, store::read_bool)
      .optional("rule", act.rule, store::read_rule)
      .optional("ttl_s", act.ttl, read_ttl)
      .optional("why", act.why, store::read_text)
      .optional("dry_run", act.dry_run, store::read_bool)
      .optional("wait_ms", act.wait, read_wait);
}
void read(MemberReader &members, ListActions &list) {
  members.optional("most", list.most, read_most);
}
void read(MemberReader &members, ShowAction &show) {
  members.required("id", show.id, store::read_text).optional("wait_ms", show.wait, read_wait);
}
void read(MemberReader &members, UndoAction &undo) {
  members.required("id", undo.id, store::read_text).optional("wait_ms", undo.wait, read_wait);
}
void read(MemberReader &members, ApproveAction &approve) {
  members.required("id", approve.id, store::read_text)
      .required("plan_hash", approve.plan_hash, store::read_text)
      .optional("wait_ms", approve.wait, read_wait);
}
void read(MemberReader &members, CheckAllowed &check) {
  members.required("vm", check.vm, store::read_text)
      .optional("pid", check.pid, read_pid)
      .optional("remote", check.remote, read_remote);
}

void read(MemberReader &members, AddAllowed &add) {
  members.required("what", add.what, store::read_text)
      .required("why", add.why, store::read_text)
      .optional("vm", add.vm, store::read_text)
      .optional("ttl_s", add.ttl, read_ttl);
}
void read(MemberReader &members, RemoveAllowed &remove) {
  members.required("id", remove.id, store::read_text);
}
void read(MemberReader &, ListAllowed &) {}

/// The request of the variant's type `I` or of a later one that has this verb.
template <std::size_t I = 0> Result<Request> parse_as(const std::string &verb, const Json &json) {
  if constexpr (I == std::variant_size_v<Request>) {
    return fail(ErrorCode::InvalidInput, "no such verb: " + verb);
  } else {
    if (verb != kVerbs[I]) {
      return parse_as<I + 1>(verb, json);
    }
    std::variant_alternative_t<I, Request> request;
    std::string again;
    MemberReader members(json);
    members.required("verb", again, store::read_text);
    read(members, request);
    if (!members.good()) {
      return fail(ErrorCode::InvalidInput,
                  verb + ": a member is missing, unknown, or not of its type or range");
    }
    return request;
  }
}

} // namespace

std::string request_line(const Request &request) {
  Json json{{"verb", kVerbs[request.index()]}};
  json.update(std::visit([](const auto &one) { return members_of(one); }, request));
  return store::line(json);
}

Result<Request> parse_request(std::string_view line) {
  const auto json = Json::parse(line.begin(), line.end(), nullptr, false);
  if (!json.is_object()) {
    return fail(ErrorCode::InvalidInput, "a request is one JSON object on one line");
  }
  const auto verb = json.contains("verb") ? store::read_text(json["verb"]) : std::nullopt;
  if (!verb) {
    return fail(ErrorCode::InvalidInput, "a request has a \"verb\"");
  }
  return parse_as(*verb, json);
}

} // namespace outguard::api
