#include "store/terminal_line.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/clock.h"

namespace outguard::store {

namespace {

constexpr std::string_view kRed = "\x1b[1;31m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kPlain = "\x1b[0m";

std::string painted(std::string text, std::string_view paint, Colour colour) {
  return colour == Colour::On ? fmt::format("{}{}{}", paint, text, kPlain) : text;
}

std::string printable(const std::string &text) {
  return GuestText(text).printable();
}

std::string time_of_day(const FlowSeen &flow) {
  const auto seen_ns = std::max(flow.first_packet_ns, flow.last_packet_ns);
  const auto stamp = rfc3339_timestamp(WallTime(std::chrono::nanoseconds(seen_ns)));
  const auto day_end = stamp.find('T');
  return stamp.substr(day_end + 1, std::string_view("18:13:20.017").size());
}

std::string severity_word(Severity severity, Colour colour) {
  std::string word = to_string(severity);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return static_cast<char>(c - 'a' + 'A'); });
  return painted(std::move(word), severity == Severity::High ? kRed : kYellow, colour);
}

std::string beacon(const BeaconScore &seen) {
  const auto name = seen.destination.printable();
  return fmt::format("beacon {} of 100: {}{} contacts, every {}.{} s, jitter {} %", seen.score,
                     name.empty() ? "" : name + ", ", seen.contacts, seen.median_interval_ms / 1000,
                     seen.median_interval_ms / 100 % 10, seen.jitter_percent);
}

std::string policy(const PolicyMatch &seen) {
  auto out = fmt::format("policy {}/{}: {}", printable(seen.policy), printable(seen.rule),
                         seen.actions.words());
  return seen.flows > 1 ? out + fmt::format(" (flow {})", seen.flows) : out;
}

std::string what(const MatchSeen &match) {
  if (match.policy) {
    return policy(*match.policy);
  }
  if (match.basis == MatchBasis::Beacon) {
    return beacon(match.beacon.value_or(BeaconScore{}));
  }
  const IndicatorHit &hit = match.indicator;
  const auto value = hit.value.printable();
  const auto observed = hit.observed_value.printable();
  auto out = fmt::format("{} {}", to_string(hit.type), value);
  if (observed != value) {
    out += fmt::format(" ({} {})", to_string(hit.observed), observed);
  }
  return match.knocks ? out + " knocked, unanswered" : out;
}

std::string process(const Attribution &attribution, Colour colour) {
  if (attribution.processes.empty()) {
    return fmt::format("process {}", to_string(attribution.status));
  }
  const auto &first = attribution.processes.front();
  auto out =
      painted(fmt::format("pid {} {}", first.identity.pid, first.comm.printable()), kBold, colour);
  if (first.exe) {
    out += " " + first.exe->printable();
  }
  if (attribution.processes.size() > 1) {
    out += fmt::format(" and {} more", attribution.processes.size() - 1);
  }
  if (attribution.status != AttributionStatus::Exact) {
    out += fmt::format(" [{}]", to_string(attribution.status));
  }
  return out;
}

std::string flow_text(const FlowSeen &flow) {
  const bool from_guest = flow.initiator == FlowDirection::ToRemote;
  return fmt::format("{} {} {} {}", protocol_name(flow.tuple.protocol),
                     flow.tuple.local.to_string(), from_guest ? "->" : "<-",
                     flow.tuple.remote.to_string());
}

std::string response(const ResponseDone &done, Colour colour) {
  const bool effective =
      done.status == ResponseStatus::Reset || done.status == ResponseStatus::Blocked ||
      done.status == ResponseStatus::Killed || done.status == ResponseStatus::Suspended;
  auto out = effective ? std::string(to_string(done.status))
                       : fmt::format("{} {}", to_string(done.action), to_string(done.status));
  out = painted(std::move(out), effective ? kGreen : kYellow, colour);
  if (effective) {
    out += fmt::format(" {}.{} ms", done.latency_us / 1000, done.latency_us / 100 % 10);
  } else if (!done.reason.empty()) {
    out += fmt::format(" ({})", printable(done.reason));
  }
  return out;
}

} // namespace

std::string alert_line(const Finding &finding, std::span<const ResponseDone> responses,
                       Colour colour) {
  const auto &match = finding.match;
  auto out = fmt::format("{} {} {} {} | {} | {}", time_of_day(match.flow),
                         finding.vm.name.printable(), severity_word(finding.severity, colour),
                         what(match), process(match.attribution, colour), flow_text(match.flow));
  std::string_view separator = " | ";
  for (const auto &done : responses) {
    out += separator;
    out += response(done, colour);
    separator = ", ";
  }
  return out;
}

} // namespace outguard::store
