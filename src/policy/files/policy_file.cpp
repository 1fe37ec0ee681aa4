#include "policy/files/policy_file.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <map>
#include <set>

#include "policy/explanation.h"
#include "policy/policy_wire.h"
#include "yaml/strict_reader.h"

namespace outguard::policy {

namespace {

using namespace yaml;

/// One item, or a list of them.
void read_one_or_more(const YAML::Node &node, const Handler &handler) {
  if (!node.IsSequence()) {
    return handler(node);
  }
  if (node.size() == 0) {
    reject(node, "an empty list never fits; leave the key out");
  }
  read_list(node, handler);
}

/// A key whose items are `read` one by one into a list.
template <class Item, class Read> Handler items(std::vector<Item> &into, Read read) {
  return [&into, read](const YAML::Node &value) {
    read_one_or_more(value, [&](const auto &item) { into.push_back(read(item)); });
  };
}

template <class Value, class Read> Handler one(std::optional<Value> &into, Read read) {
  return [&into, read](const YAML::Node &value) { into = read(value); };
}

/// One word of a few; what each means.
template <class Value>
Value read_meaning(const YAML::Node &node,
                   const std::vector<std::pair<std::string, Value>> &words) {
  const auto text = read_text(node);
  std::vector<std::string> names;
  std::string all;
  for (const auto &[name, value] : words) {
    if (text == name) {
      return value;
    }
    names.push_back(name);
    all += (all.empty() ? "" : ", ") + name;
  }
  reject(node, "expected one of " + all + did_you_mean(text, names));
}

/// "allow" alone; "block"; [block, kill].
Actions read_actions(const YAML::Node &node) {
  std::vector<std::pair<std::string, Actions>> words{{"allow", Actions()}};
  for (const Action action : kActions) {
    words.emplace_back(to_string(action), Actions(action));
  }
  Actions all;
  read_one_or_more(node, [&](const auto &item) {
    const auto actions = read_meaning(item, words);
    if (node.IsSequence() && node.size() > 1 && (actions.allow() || actions.has(Action::Alert))) {
      reject(item, "allow and alert stand alone; whatever is not allowed raises an alert");
    }
    for (const Action action : kActions) {
      if (actions.has(action)) {
        all.add(action);
      }
    }
  });
  return all;
}

std::uint8_t read_protocol(const YAML::Node &node) {
  const auto text = read_text(node);
  const auto protocol = parse_protocol(text);
  if (!protocol) {
    reject(node, "expected tcp, udp, icmp, icmpv6, udplite or a number from 0 to 255" +
                     did_you_mean(text, {"tcp", "udp", "icmp", "icmpv6", "udplite"}));
  }
  return *protocol;
}

IpNetwork read_network(const YAML::Node &node) {
  const auto network = IpNetwork::parse(read_text(node));
  if (!network) {
    reject(node, "expected an address or a network such as 10.0.0.0/8 (no bits beyond its prefix)");
  }
  return *network;
}

/// All of `text`.
template <class Number> std::optional<Number> parse_number(std::string_view text) {
  Number value = 0;
  const auto *end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

/// "80", "8000-8100".
template <class Number> Range<Number> read_range(const YAML::Node &node) {
  const std::string text = read_text(node);
  const auto dash = text.find('-');
  const auto first = parse_number<Number>(std::string_view(text).substr(0, dash));
  const auto last =
      dash == text.npos ? first : parse_number<Number>(std::string_view(text).substr(dash + 1));
  if (!first || !last || *first > *last) {
    reject(node, "expected a number up to " + std::to_string(std::numeric_limits<Number>::max()) +
                     ", or a range such as 8000-8100");
  }
  return {*first, *last};
}

Sha256 read_sha256(const YAML::Node &node) {
  const auto hash = parse_sha256(read_text(node));
  if (!hash) {
    reject(node, "expected 64 hexadecimal digits");
  }
  return *hash;
}

FlowDirection read_direction(const YAML::Node &node) {
  return read_meaning<FlowDirection>(
      node, {{"in", FlowDirection::ToGuest}, {"out", FlowDirection::ToRemote}});
}

Rule read_rule(const YAML::Node &node) {
  Rule rule;
  std::optional<Actions> actions;
  read_mapping(node, {{"name", [&](const auto &value) { rule.name = read_text(value); }},
                      {"action", one(actions, read_actions)},
                      {"direction", one(rule.direction, read_direction)},
                      {"protocol", items(rule.protocols, read_protocol)},
                      {"remote", items(rule.remotes, read_network)},
                      {"port", items(rule.ports, read_range<std::uint16_t>)},
                      {"host", items(rule.hosts, read_text)},
                      {"exe", items(rule.exes, read_text)},
                      {"comm", items(rule.comms, read_text)},
                      {"sha256", items(rule.sha256s, read_sha256)},
                      {"uid", items(rule.uids, read_range<std::uint32_t>)},
                      {"container", items(rule.containers, read_text)},
                      {"unit", items(rule.units, read_text)},
                      {"ancestor", items(rule.ancestors, read_text)}});
  if (!actions) {
    reject(node, "a rule needs an action: allow, alert, block, suspend, kill or isolate");
  }
  rule.actions = *actions;
  if (auto wrong = complaint(rule); !wrong.empty()) {
    reject(node, wrong);
  }
  return rule;
}

/// Asks for nothing: no rule behind it is ever reached.
bool fits_all(const Rule &rule) {
  for (std::size_t i = 0; i < kConditions; ++i) {
    if (asks_for(rule, static_cast<Condition>(i))) {
      return false;
    }
  }
  return true;
}

std::vector<Rule> read_rules(const YAML::Node &node) {
  std::vector<Rule> rules;
  std::set<std::string> names;
  read_list(node, [&](const auto &item) {
    if (!rules.empty() && fits_all(rules.back())) {
      reject(item, "never reached: rule '" + rules.back().name + "' before it fits everything");
    }
    rules.push_back(read_rule(item));
    if (!names.insert(rules.back().name).second) {
      reject(item, "two rules are named '" + rules.back().name + "'");
    }
  });
  return rules;
}

class Loader {
public:
  explicit Loader(std::string path) { file_.path = std::move(path); }

  PolicyFile load(const YAML::Node &root) {
    std::optional<Actions> otherwise, unknown;
    read_mapping(root,
                 {{"vm", items(file_.vms, read_text)},
                  {"default",
                   [&](const auto &value) {
                     otherwise = read_meaning<Actions>(value, {{"allow", Actions()},
                                                               {"alert", Actions(Action::Alert)},
                                                               {"deny", Actions(Action::Block)}});
                   }},
                  {"unknown",
                   [&](const auto &value) {
                     unknown = read_meaning<Actions>(value, {{"allow", Actions()},
                                                             {"alert", Actions(Action::Alert)},
                                                             {"block", Actions(Action::Block)}});
                   }},
                  {"rules", [&](const auto &value) { parts_.rules = read_rules(value); }},
                  {"tests", [&](const auto &value) {
                     read_list(value,
                               [&](const auto &item) { file_.tests.push_back(read_test(item)); });
                   }}});
    if (file_.vms.empty()) {
      reject(root, "a policy needs a vm: a name, a list of names, or \"*\" for every other");
    }
    if (!otherwise) {
      reject(root, "a policy needs a default: allow, alert or deny");
    }
    parts_.otherwise = *otherwise;
    parts_.unknown = unknown.value_or(Actions(Action::Alert));
    return finish(root);
  }

private:
  PolicyFile finish(const YAML::Node &root) {
    auto policy = FlowPolicy::make(std::move(parts_));
    if (!policy) {
      reject(root, policy.error().message);
    }
    if (encode(*policy).size() > kMostWireBytes) {
      reject(root, "the policy is larger than a sensor is handed (128 KiB)");
    }
    for (std::size_t i = 0; i < file_.tests.size(); ++i) {
      const auto &rules = policy->parts().rules;
      const auto &name = file_.tests[i].rule;
      const bool known = name.empty() || name == "default" || name == "unknown" ||
                         std::any_of(rules.begin(), rules.end(),
                                     [&](const Rule &rule) { return rule.name == name; });
      if (!known) {
        throw Problem{test_marks_[i], "no rule is named '" + name + "'"};
      }
    }
    file_.policy = std::move(*policy);
    return std::move(file_);
  }

  PolicyTest read_test(const YAML::Node &node) {
    ProcessCase process;
    std::optional<std::string> host, flow, rule;
    std::optional<Actions> expected;
    const auto read_uid = [](const YAML::Node &value) {
      return read_number<std::uint32_t>(value, 0, std::numeric_limits<std::uint32_t>::max());
    };
    // `host: ""` says that the flow has no name.
    const auto read_host = [](const YAML::Node &value) {
      return value.IsScalar() && value.Scalar().empty() ? std::string() : read_text(value);
    };
    read_mapping(node, {{"flow", one(flow, read_text)},
                        {"expect", one(expected, read_actions)},
                        {"rule", one(rule, read_text)},
                        {"host", one(host, read_host)},
                        {"exe", one(process.exe, read_text)},
                        {"comm", one(process.comm, read_text)},
                        {"sha256", one(process.sha256, read_sha256)},
                        {"uid", one(process.uid, read_uid)},
                        {"container", one(process.container, read_text)},
                        {"unit", one(process.unit, read_text)},
                        {"ancestor", items(process.ancestors, read_text)}});
    if (!flow || !expected) {
      reject(node, "a test needs a flow, and what to expect");
    }
    auto made = FlowCase::make(*flow, process, std::move(host));
    if (!made) {
      reject(node, made.error().message);
    }
    const auto mark = test_marks_.emplace_back(node.Mark());
    return {file_.path + ":" + std::to_string(mark.line + 1) + ":" +
                std::to_string(mark.column + 1),
            std::move(*made), *expected, rule.value_or("")};
  }

  PolicyFile file_;
  PolicyParts parts_;
  std::vector<YAML::Mark> test_marks_;
};

} // namespace

Result<PolicyFile> read_policy(const std::string &path) {
  PolicyFile file;
  auto read = read_file(path, [&](const YAML::Node &root) { file = Loader(path).load(root); });
  if (!read) {
    return tl::unexpected(read.error());
  }
  return file;
}

std::vector<std::string> failed_tests(const PolicyFile &file) {
  std::vector<std::string> failures;
  for (const auto &test : file.tests) {
    const auto facts = test.flow.facts();
    const auto verdict = file.policy.judge(facts);
    const auto decided = file.policy.decided_by(verdict);
    if (verdict.actions != test.expected || (!test.rule.empty() && test.rule != decided)) {
      failures.push_back(test.place + ": expected " + test.expected.words() +
                         (test.rule.empty() ? "" : " by " + test.rule) + ", got " +
                         verdict.actions.words() + " by " + decided + ": " +
                         reason(file.policy, facts, verdict));
    }
  }
  return failures;
}

Result<std::vector<std::string>> policy_paths(const std::string &file_or_folder) {
  namespace fs = std::filesystem;
  std::error_code problem;
  if (!fs::is_directory(file_or_folder, problem)) {
    return std::vector{file_or_folder};
  }
  std::vector<std::string> paths;
  for (fs::directory_iterator next(file_or_folder, problem), end; !problem && next != end;
       next.increment(problem)) {
    const auto kind = next->path().extension();
    if (kind == ".yaml" || kind == ".yml") {
      paths.push_back(next->path().string());
    }
  }
  if (problem) {
    return fail(ErrorCode::SystemFailed, file_or_folder + ": " + problem.message());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string overlap(const std::vector<PolicyFile> &files) {
  std::map<std::string, const PolicyFile *> governed;
  for (const auto &file : files) {
    for (const auto &vm : file.vms) {
      const auto [other, is_first] = governed.emplace(vm, &file);
      if (!is_first) {
        return file.path + ": vm '" + vm + "' is governed by " +
               (other->second == &file ? "this file twice" : other->second->path + " already");
      }
    }
  }
  return {};
}

} // namespace outguard::policy
