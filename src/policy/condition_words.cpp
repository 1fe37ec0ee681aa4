#include "policy/condition_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace outguard::policy {

namespace {

constexpr const char *kUnknown = "not known";

template <class Items, class Word> std::string list(const Items &items, Word word) {
  std::string text;
  for (const auto &item : items) {
    text += (text.empty() ? "" : ", ") + word(item);
  }
  return text;
}

std::string quiet(const std::string &text) {
  return GuestText(text).printable();
}

template <class Number> std::string range(const Range<Number> &value) {
  return value.first == value.last ? std::to_string(value.first)
                                   : fmt::format("{}-{}", value.first, value.last);
}

std::string shown(const std::optional<GuestText> &text, const char *if_empty) {
  return !text ? kUnknown : text->empty() ? if_empty : text->printable();
}

std::string exe_of(const ProcessSeen &process) {
  const auto now = shown(process.exe, "none");
  return process.earlier_exe ? fmt::format("{}, earlier {}", now, process.earlier_exe->printable())
                             : now;
}

std::string ancestors_of(const Attribution *lineage) {
  if (lineage == nullptr) {
    return kUnknown;
  }
  auto text = list(lineage->ancestors, [](const Ancestor &one) { return one.comm.printable(); });
  return lineage->ancestors_cut ? text + (text.empty() ? "" : ", ") + "and others not read"
         : text.empty()         ? "none"
                                : text;
}

std::string flow_observed(Condition condition, const FlowFacts &flow) {
  switch (condition) {
  case Condition::Direction:
    return to_string(flow.initiator);
  case Condition::Protocol:
    return protocol_name(flow.tuple.protocol);
  case Condition::Remote:
    return flow.tuple.remote.address.to_string();
  case Condition::Port: {
    const auto port = service_port(flow.tuple, flow.initiator);
    return port ? std::to_string(*port) : "none";
  }
  default:
    break;
  }
  return !flow.host           ? "no name seen yet"
         : flow.host->empty() ? "no name"
                              : quiet(std::string(*flow.host));
}

} // namespace

const char *to_string(Condition condition) {
  switch (condition) {
  case Condition::Direction:
    return "direction";
  case Condition::Protocol:
    return "protocol";
  case Condition::Remote:
    return "remote";
  case Condition::Port:
    return "port";
  case Condition::Host:
    return "host";
  case Condition::Exe:
    return "exe";
  case Condition::Comm:
    return "comm";
  case Condition::ExeHash:
    return "sha256";
  case Condition::Uid:
    return "uid";
  case Condition::Container:
    return "container";
  case Condition::Unit:
    return "unit";
  case Condition::Ancestor:
    return "ancestor";
  }
  return "unknown";
}

const char *to_string(FlowDirection initiator) {
  return initiator == FlowDirection::ToRemote ? "out" : "in";
}

std::string to_string(const Sha256 &hash) {
  return fmt::format("{:02x}", fmt::join(hash, ""));
}

std::string observed(Condition condition, const Subject &subject) {
  if (condition <= Condition::Host) {
    return flow_observed(condition, *subject.flow);
  }
  if (subject.process == nullptr) {
    return kUnknown;
  }
  const ProcessSeen &process = *subject.process;
  switch (condition) {
  case Condition::Exe:
    return exe_of(process);
  case Condition::Comm:
    return process.comm.printable();
  case Condition::Uid:
    return process.credentials ? std::to_string(process.credentials->uid) : kUnknown;
  case Condition::Container:
    return shown(process.container, kNone);
  case Condition::Unit:
    return shown(process.unit, kNone);
  case Condition::Ancestor:
    return ancestors_of(subject.lineage);
  default:
    break;
  }
  return subject.sha256 != nullptr ? to_string(*subject.sha256) : kUnknown;
}

std::string wanted(const Rule &rule, Condition condition) {
  switch (condition) {
  case Condition::Direction:
    return rule.direction ? to_string(*rule.direction) : "";
  case Condition::Protocol:
    return list(rule.protocols, protocol_name);
  case Condition::Remote:
    return list(rule.remotes, [](const IpNetwork &one) { return one.to_string(); });
  case Condition::Port:
    return list(rule.ports, range<std::uint16_t>);
  case Condition::Host:
    return list(rule.hosts, quiet);
  case Condition::Exe:
    return list(rule.exes, quiet);
  case Condition::Comm:
    return list(rule.comms, quiet);
  case Condition::ExeHash:
    return list(rule.sha256s, [](const auto &hash) { return to_string(hash); });
  case Condition::Uid:
    return list(rule.uids, range<std::uint32_t>);
  case Condition::Container:
    return list(rule.containers, quiet);
  case Condition::Unit:
    return list(rule.units, quiet);
  case Condition::Ancestor:
    return list(rule.ancestors, quiet);
  }
  return {};
}

} // namespace outguard::policy
