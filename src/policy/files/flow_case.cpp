#include "policy/files/flow_case.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "policy/condition.h"

namespace outguard::policy {

namespace {

constexpr std::size_t kCommBytes = 15; // what a kernel keeps of a task's name

std::string base_name(const std::string &path) {
  return path.substr(path.rfind('/') + 1); // npos + 1 is 0
}

/// With a port where the protocol has one.
std::optional<Endpoint> parse_end(const std::string &word, bool with_port) {
  if (with_port) {
    return Endpoint::parse(word);
  }
  const auto address = IpAddress::parse(word);
  return address ? std::optional(Endpoint{*address, 0}) : std::nullopt;
}

GuestText in_or_none(const std::string &word) {
  return GuestText(word == kNone ? std::string() : word);
}

Attribution attribution_of(const ProcessCase &process) {
  Attribution attribution;
  attribution.status = AttributionStatus::Exact;
  ProcessSeen &seen = attribution.processes.emplace_back();
  seen.comm =
      GuestText(process.comm.value_or(base_name(process.exe.value_or("?"))).substr(0, kCommBytes));
  if (process.exe) {
    seen.exe = GuestText(*process.exe);
  }
  if (process.uid) {
    const auto id = *process.uid;
    seen.credentials.emplace();
    seen.credentials->uid = seen.credentials->euid = id;
    seen.credentials->suid = seen.credentials->fsuid = id;
  }
  if (process.container) {
    seen.container = in_or_none(*process.container);
  }
  if (process.unit) {
    seen.unit = in_or_none(*process.unit);
  }
  for (const auto &comm : process.ancestors) {
    attribution.ancestors.push_back({0, GuestText(comm)});
  }
  attribution.ancestors_cut = process.ancestors.empty();
  return attribution;
}

} // namespace

std::optional<std::uint8_t> parse_protocol(const std::string &word) {
  for (const auto known : {IpProtocol::Icmp, IpProtocol::Tcp, IpProtocol::Udp, IpProtocol::Icmpv6,
                           IpProtocol::UdpLite}) {
    if (word == protocol_name(static_cast<std::uint8_t>(known))) {
      return static_cast<std::uint8_t>(known);
    }
  }
  std::uint8_t number = 0;
  const auto *end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, number);
  return error == std::errc{} && stop == end ? std::optional(number) : std::nullopt;
}

std::optional<Sha256> parse_sha256(const std::string &digits) {
  Sha256 hash{};
  if (digits.size() != 2 * hash.size()) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const char *at = digits.data() + 2 * i;
    const auto [stop, error] = std::from_chars(at, at + 2, hash[i], 16);
    if (error != std::errc{} || stop != at + 2) {
      return std::nullopt;
    }
  }
  return hash;
}

Result<FlowCase> FlowCase::make(const std::string &flow, const ProcessCase &process,
                                std::optional<std::string> host) {
  std::istringstream words(flow);
  std::vector<std::string> parts;
  for (std::string word; parts.size() < 5 && words >> word;) {
    parts.push_back(std::move(word));
  }
  const bool has_arrow = parts.size() == 4 && (parts[2] == "->" || parts[2] == "<-");
  if (parts.size() != 3 && !has_arrow) {
    return fail(ErrorCode::InvalidInput,
                "expected a flow as 'tcp 10.0.0.2:4000 -> 9.9.9.9:443', the guest's end first");
  }
  FlowCase made;
  const auto protocol = parse_protocol(parts[0]);
  if (!protocol) {
    return fail(ErrorCode::InvalidInput, "no such protocol: " + parts[0]);
  }
  const bool with_port = has_ports(*protocol);
  const auto local = parse_end(parts[1], with_port), remote = parse_end(parts.back(), with_port);
  if (!local || !remote || local->address.family != remote->address.family) {
    return fail(ErrorCode::InvalidInput,
                std::string("expected two ends as ") +
                    (with_port ? "ADDRESS:PORT or [ADDRESS]:PORT" : "addresses without ports") +
                    " of one family");
  }
  made.tuple_ = {*protocol, *local, *remote};
  if (has_arrow && parts[2] == "<-") {
    made.begun_outside();
  }
  if (process.is_known()) {
    made.attribution_ = attribution_of(process);
  }
  made.sha256_ = process.sha256;
  made.host_ = std::move(host);
  return made;
}

FlowFacts FlowCase::facts() const {
  FlowFacts facts{tuple_, initiator_, attribution_ ? &*attribution_ : nullptr,
                  sha256_ ? &*sha256_ : nullptr, std::nullopt};
  if (host_) {
    facts.host = *host_;
  }
  return facts;
}

} // namespace outguard::policy
