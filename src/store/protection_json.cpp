#include "store/protection_json.h"

#include "store/action_json.h"

namespace outguard::store {

Json protection_json(const Protection &entry) {
  return {{"id", text_or_null(entry.id)},           {"what", text(what_of(entry))},
          {"vm", text_or_null(entry.vm)},           {"actor", text(entry.actor)},
          {"why", text_or_null(entry.why)},         {"added", time_json(entry.added_ns)},
          {"expires", time_json(entry.expires_ns)}, {"removed", entry.removed}};
}

std::optional<Protection> read_protection(const Json &json) {
  Protection entry;
  MemberReader members(json);
  members
      .required("what", entry,
                [](const Json &j) {
                  const auto what = read_text(j);
                  auto parsed = what ? parse_protection(*what) : Result<Protection>(Protection());
                  return what && parsed ? std::optional(std::move(*parsed)) : std::nullopt;
                })
      .optional("id", entry.id, read_text)
      .optional("vm", entry.vm, read_text)
      .required("actor", entry.actor, read_text)
      .optional("why", entry.why, read_text)
      .optional("added", entry.added_ns, read_time)
      .optional("expires", entry.expires_ns, read_time)
      .required("removed", entry.removed, read_bool);
  return members.good() ? std::optional(std::move(entry)) : std::nullopt;
}

} // namespace outguard::store
