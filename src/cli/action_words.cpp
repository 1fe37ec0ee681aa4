#include "cli/action_words.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/clock.h"
#include "facts/guest_text.h"

namespace outguard::cli {

namespace {

std::optional<std::uint8_t> protocol_of(const std::string &word) {
  for (const auto one : {IpProtocol::Tcp, IpProtocol::Udp}) {
    if (word == protocol_name(static_cast<std::uint8_t>(one))) {
      return static_cast<std::uint8_t>(one);
    }
  }
  return std::nullopt;
}

template <class Number> std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const char *end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && stopped == end ? std::optional(number) : std::nullopt;
}

std::optional<RuleDirection> direction_of(const std::string &word) {
  for (const auto one : {RuleDirection::Inbound, RuleDirection::Outbound, RuleDirection::Both}) {
    if (word == to_string(one)) {
      return one;
    }
  }
  return std::nullopt;
}

std::string time_words(std::int64_t nanoseconds) {
  auto text = rfc3339_timestamp(WallTime(std::chrono::nanoseconds(nanoseconds)));
  text.resize(sizeof "2026-01-01T00:00:00" - 1);
  text[10] = ' ';
  return text + " UTC";
}

bool is_block(ResponseAction action) {
  return action == ResponseAction::BlockFlow || action == ResponseAction::BlockRemote ||
         action == ResponseAction::BlockPort || action == ResponseAction::Isolate;
}

bool can_be_undone(ResponseAction action) {
  return is_block(action) || action == ResponseAction::Suspend || action == ResponseAction::PauseVm;
}

std::string after(const char *word, const std::string &reason) {
  return reason.empty() ? word : fmt::format("{}: {}", word, GuestText(reason).printable());
}

} // namespace

Result<NetworkRule> parse_block(const std::vector<std::string> &words) {
  const auto usage = [](const char *why) { return fail(ErrorCode::InvalidInput, why); };
  const auto kind = words.empty() ? std::string() : words[0];
  if (kind == "flow") {
    const auto protocol = words.size() == 4 ? protocol_of(words[1]) : std::nullopt;
    const auto local = words.size() == 4 ? Endpoint::parse(words[2]) : std::nullopt;
    const auto remote = words.size() == 4 ? Endpoint::parse(words[3]) : std::nullopt;
    if (!protocol || !local || !remote || local->address.family != remote->address.family) {
      return usage("a flow is: flow tcp|udp LOCAL_ADDRESS:PORT REMOTE_ADDRESS:PORT");
    }
    return FlowRule{{*protocol, *local, *remote}};
  }
  if (kind == "remote") {
    const auto network = words.size() == 2 ? IpNetwork::parse(words[1]) : std::nullopt;
    if (!network) {
      return usage("a remote is: remote ADDRESS, or remote NETWORK/LENGTH without further bits");
    }
    return RemoteRule{*network};
  }
  if (kind == "port") {
    const auto direction = words.size() == 4 ? direction_of(words[1]) : std::nullopt;
    const auto protocol = words.size() == 4 ? protocol_of(words[2]) : std::nullopt;
    const auto port = words.size() == 4 ? number_in<std::uint16_t>(words[3]).value_or(0) : 0;
    if (!direction || !protocol || port == 0) {
      return usage("a port is: port in|out|both tcp|udp NUMBER");
    }
    return PortRule{*protocol, static_cast<std::uint16_t>(port), *direction};
  }
  return usage("what to block is: flow ..., remote ..., or port ...");
}

Result<IsolationRule> parse_isolation(const std::vector<std::string> &networks) {
  IsolationRule rule;
  for (const auto &one : networks) {
    const auto network = IpNetwork::parse(one);
    if (!network) {
      return fail(ErrorCode::InvalidInput,
                  GuestText(one).printable() + " is neither an address nor a network");
    }
    rule.allowed.push_back(*network);
  }
  std::sort(rule.allowed.begin(), rule.allowed.end());
  rule.allowed.erase(std::unique(rule.allowed.begin(), rule.allowed.end()), rule.allowed.end());
  if (rule.allowed.size() > kMostAllowed) {
    return fail(ErrorCode::InvalidInput, fmt::format("at most {} --allow", kMostAllowed));
  }
  return rule;
}

Result<std::chrono::seconds> parse_time_to_live(std::string_view text) {
  constexpr std::string_view kUnits = "smhd";
  constexpr std::array<std::int64_t, 4> kSeconds{1, 60, 3600, 86'400};
  constexpr std::int64_t kMost = 30 * kSeconds[3];
  const auto unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
  const auto number = unit == std::string_view::npos
                          ? std::nullopt
                          : number_in<std::uint32_t>(text.substr(0, text.size() - 1));
  if (!number || *number == 0 || *number > kMost / kSeconds[unit]) {
    return fail(ErrorCode::InvalidInput, "--for is a time such as 90s, 10m, 1h or 2d, 30d at most");
  }
  return std::chrono::seconds(*number * kSeconds[unit]);
}

std::optional<std::int32_t> parse_pid(std::string_view text) {
  const auto pid = number_in<std::int32_t>(text);
  return pid && *pid > 0 ? pid : std::nullopt;
}

std::string asked_at(const ActionRecord &record) {
  return time_words(record.asked_ns);
}

std::vector<std::string> protection_cells(const Protection &entry) {
  return {entry.id.empty() ? "-" : GuestText(entry.id).printable(),
          GuestText(what_of(entry)).printable(),
          entry.vm.empty() ? "every VM" : GuestText(entry.vm).printable(),
          entry.expires_ns == 0 ? "for good" : time_words(entry.expires_ns),
          GuestText(entry.actor).printable(),
          GuestText(entry.why).printable()};
}

std::string what_of(const ActionWanted &wanted) {
  switch (wanted.action) {
  case ResponseAction::PauseVm:
    return "pause";
  case ResponseAction::UnpauseVm:
    return "unpause";
  case ResponseAction::Isolate:
    return "isolate from " + (wanted.rule ? to_string(*wanted.rule) : std::string("?"));
  default:
    break;
  }
  if (wanted.process) {
    return fmt::format("{} pid {}{}", to_string(wanted.action), wanted.process->pid,
                       wanted.tree ? " and its descendants" : "");
  }
  return wanted.rule ? "block " + to_string(*wanted.rule) : std::string(to_string(wanted.action));
}

std::string state_of(const ActionRecord &record) {
  const bool tells = record.state == ActionState::Done || record.state == ActionState::Failed;
  return tells && std::string_view(to_string(record.status)) != to_string(record.state)
             ? fmt::format("{}: {}", to_string(record.state), to_string(record.status))
             : to_string(record.state);
}

std::vector<std::pair<std::string, std::string>> action_lines(const ActionRecord &record) {
  const auto &wanted = record.wanted;
  const bool waits = record.state == ActionState::Waiting;
  const bool undoable = record.state == ActionState::Done && can_be_undone(wanted.action) &&
                        record.status != ResponseStatus::DryRun;
  std::vector<std::pair<std::string, std::string>> lines{
      {"action", record.id},
      {"what", what_of(wanted)},
      {"vm", GuestText(wanted.vm).printable()},
      {"state", state_of(record)},
      {"reason", GuestText(record.reason).printable()},
      {"by", GuestText(wanted.actor).printable()},
      {"why", GuestText(wanted.why).printable()},
      {"asked", asked_at(record)},
      {"changed", record.changed_ns == 0 ? "" : time_words(record.changed_ns)},
      {waits ? "answer by" : "until", record.expires_ns == 0 ? "" : time_words(record.expires_ns)},
      {"plan", record.plan_hash},
      {"undo", undoable ? "outguard action undo " + record.id
               : waits  ? "outguard action undo " + record.id + " withdraws it"
                        : ""},
      {"approve",
       waits ? fmt::format("outguard action approve {} {}", record.id, record.plan_hash) : ""}};
  std::erase_if(lines, [](const auto &one) { return one.second.empty(); });
  return lines;
}

Verdict verdict_on(const ActionRecord &record, AskedFor asked) {
  switch (record.state) {
  case ActionState::Waiting:
    return {Exit::WaitingForApproval, fmt::format("waits for approval; approve with: outguard "
                                                  "action approve {} {}",
                                                  record.id, record.plan_hash)};
  case ActionState::Refused:
    return {Exit::Refused, after("refused", record.reason)};
  case ActionState::Failed:
    return {Exit::Failed,
            after(record.status == ResponseStatus::NotPossible ? "not possible" : "failed",
                  record.reason)};
  case ActionState::Asked:
  case ActionState::Approved:
  case ActionState::Acting:
  case ActionState::Undoing:
    return {Exit::Partial,
            fmt::format("still under way; look with: outguard action show {}", record.id)};
  case ActionState::Done:
    if (asked == AskedFor::Undo) {
      return {Exit::Failed, after("not undone", record.reason)};
    }
    return record.status == ResponseStatus::Pending
               ? Verdict{Exit::Partial, after("begun, and not proved yet", record.reason)}
               : Verdict{};
  case ActionState::Undone:
  case ActionState::Expired:
    return {};
  }
  return {};
}

} // namespace outguard::cli
