#include "policy/files/proposal.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "policy/condition_words.h"
#include "policy/flow_policy.h"

namespace outguard::policy {

namespace {

/// All of one program that goes one way: what it said, by port.
using Program = std::tuple<std::string, std::optional<bool>, FlowDirection, std::uint8_t>;
struct Talk {
  std::set<std::string> remotes; ///< empty with `any_remote`
  bool any_remote = false;

  auto operator<=>(const Talk &) const = default;
};
using ByPort = std::map<std::optional<std::uint16_t>, Talk>;

bool is_plain(const std::string &text) {
  return !text.empty() && text.size() <= FlowPolicy::kMostText &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < '\x7f' && c != '*' && c != '"' && c != '\\';
         });
}

/// A path that means itself as a pattern.
bool is_plain_path(const std::string &exe) {
  return is_plain(exe) && exe.front() == '/' && exe.back() != '/';
}

std::string name_for(const std::string &exe, std::map<std::string, unsigned> &used) {
  std::string name = exe.substr(exe.rfind('/') + 1, 48);
  if (name == "default" || name == "unknown") {
    name += "-program";
  }
  const auto count = ++used[name];
  return count == 1 ? name : fmt::format("{}#{}", name, count);
}

/// One, or a list.
std::string items(const std::vector<std::string> &texts) {
  return texts.size() == 1 ? texts.front() : fmt::format("[{}]", fmt::join(texts, ", "));
}

std::string rule_line(const std::string &name, const Program &program,
                      const std::vector<std::string> &ports, const Talk &talk) {
  const auto &[exe, in_container, initiator, protocol] = program;
  std::string line = fmt::format("  - {{name: \"{}\", action: allow, exe: \"{}\"", name, exe);
  if (in_container) {
    line += fmt::format(", container: {}", *in_container ? kAny : kNone);
  }
  line +=
      fmt::format(", direction: {}, protocol: {}", to_string(initiator), protocol_name(protocol));
  if (!ports.empty()) {
    line += ", port: " + items(ports);
  }
  if (!talk.any_remote) {
    line += ", remote: " + items({talk.remotes.begin(), talk.remotes.end()});
  }
  return line + "}\n";
}

} // namespace

std::string propose(const std::string &vm, const std::vector<LearnedFlow> &flows) {
  std::map<Program, ByPort> programs;
  std::size_t left_out = 0;
  for (const auto &flow : flows) {
    if (!is_plain_path(flow.exe)) {
      ++left_out;
      continue;
    }
    const auto in_container =
        flow.container ? std::optional(!flow.container->empty()) : std::nullopt;
    Talk &talk = programs[{flow.exe, in_container, flow.initiator, flow.protocol}][flow.port];
    if (flow.remote) {
      talk.remotes.insert('"' + flow.remote->unmapped().to_string() + '"');
    }
    talk.any_remote = talk.any_remote || !flow.remote || talk.remotes.size() > kMostLearnedRemotes;
  }
  std::string text = fmt::format("vm: \"{}\"\ndefault: deny\nrules:{}\n",
                                 is_plain(vm) ? vm : "NAME-IT", programs.empty() ? " []" : "");
  std::map<std::string, unsigned> names;
  for (auto &[program, by_port] : programs) {
    std::map<Talk, std::vector<std::string>> same_talk; // ports that say the same share a rule
    for (auto &[port, talk] : by_port) {
      if (talk.any_remote) {
        talk.remotes.clear();
      }
      auto &ports = same_talk[talk];
      if (port) {
        ports.push_back(std::to_string(*port));
      }
    }
    for (const auto &[talk, ports] : same_talk) {
      for (std::size_t i = 0; i == 0 || i < ports.size(); i += FlowPolicy::kMostItems) {
        const auto some =
            std::span(ports).subspan(i).first(std::min(ports.size() - i, FlowPolicy::kMostItems));
        text += rule_line(name_for(std::get<0>(program), names), program,
                          {some.begin(), some.end()}, talk);
      }
    }
  }
  if (left_out != 0) {
    text +=
        fmt::format("# Left out: {} of programs whose path is not known or not plain.\n", left_out);
  }
  return text;
}

} // namespace outguard::policy
