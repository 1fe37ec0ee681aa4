#pragma once
// What a supervisor can be asked, as JSON lines, for both ends. Pure functions; a line has no line
// feed. Strict: unknown members are refused, sizes are capped; nothing throws: what is malformed is
// an InvalidInput.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "facts/action.h"

namespace outguard::api {

inline constexpr std::chrono::minutes kLongestWait{5}; ///< of a client for an action

/// {"verb":"status"}
struct StatusAsked {};

/// {"verb":"accept"}: intelligence is compiled anew, and the losses that were told are accepted.
struct AcceptLosses {};

/// {"verb":"act","action":"kill","vm":"web1","pid":42,...}
struct Act {
  ResponseAction action = ResponseAction::Kill;
  std::string vm;       ///< name or UUID of a VM that is guarded, pid:N or qmp:PATH
  std::int32_t pid = 0; ///< in the guest; 0: none
  bool tree = false;
  std::optional<NetworkRule> rule;
  std::chrono::seconds ttl{0};
  std::string why;
  bool dry_run = false;
  std::chrono::milliseconds wait{0}; ///< for its end, at most; the answer tells how far it has come
};

/// {"verb":"action-list","most":100}: the newest
struct ListActions {
  std::uint32_t most = 1000;
};

/// {"verb":"action-show","id":"a-...","wait_ms":0}
struct ShowAction {
  std::string id;
  std::chrono::milliseconds wait{0};
};

/// {"verb":"action-undo","id":"a-...","wait_ms":0}
struct UndoAction {
  std::string id;
  std::chrono::milliseconds wait{0};
};

/// {"verb":"action-approve","id":"a-...","plan_hash":"...","wait_ms":0}
struct ApproveAction {
  std::string id, plan_hash;
  std::chrono::milliseconds wait{0};
};

/// {"verb":"allow-check","vm":"web1","pid":42}, or with "remote":"10.0.0.0/8": would it be refused?
struct CheckAllowed {
  std::string vm;
  std::int32_t pid = 0;
  std::optional<IpNetwork> remote;
};

/// {"verb":"allow-add","what":"10.0.0.0/8","why":"...","vm":"web1","ttl_s":3600}
struct AddAllowed {
  std::string what; ///< a remote, a file's whole path in the guest, or a process's name
  std::string why;
  std::string vm;              ///< as of Act; empty: every VM
  std::chrono::seconds ttl{0}; ///< 0: for good
};

/// {"verb":"allow-remove","id":"p-..."}
struct RemoveAllowed {
  std::string id;
};

/// {"verb":"allow-list"}
struct ListAllowed {};

using Request = std::variant<StatusAsked, AcceptLosses, Act, ListActions, ShowAction, UndoAction,
                             ApproveAction, CheckAllowed, AddAllowed, RemoveAllowed, ListAllowed>;

[[nodiscard]] std::string request_line(const Request &request);
[[nodiscard]] Result<Request> parse_request(std::string_view line);

} // namespace outguard::api
