// policy check, test, explain: the files of the process firewall, asked without a supervisor.
#include <algorithm>
#include <fstream>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/policy_flows.h"
#include "cli/problems.h"
#include "store/recorded_flow.h"

namespace outguard::cli {

namespace {

using policy::PolicyFile;

Exit bad_config(const std::string &problem) {
  complain(problem);
  return Exit::BadConfig;
}

std::string governs(const PolicyFile &file) {
  std::string vms;
  for (const auto &vm : file.vms) {
    vms += (vms.empty() ? "" : ", ") + (vm == policy::kEveryOther ? "every other VM" : vm);
  }
  const auto &parts = file.policy.parts();
  return fmt::format("{}: governs {}: {} rules, else {}; not known: {}; {} tests passed", file.path,
                     vms, parts.rules.size(), parts.otherwise.words(), parts.unknown.words(),
                     file.tests.size());
}

/// Whoever may knock would choose what dies: that is to be meant.
void warn_of_ends_from_outside(const PolicyFile &file) {
  for (const auto &rule : file.policy.parts().rules) {
    const bool ends =
        rule.actions.has(PolicyAction::Kill) || rule.actions.has(PolicyAction::Suspend);
    if (ends && !rule.direction) {
      complain(fmt::format("note: {}: rule '{}' also hits who answers a flow that was begun "
                           "outside: say `direction: out`, or `in` too where that is meant",
                           file.path, rule.name));
    }
  }
}

Result<policy::FlowCase> described(const FlowOptions &asked) {
  policy::ProcessCase process;
  process.exe = asked.exe;
  process.comm = asked.comm;
  process.container = asked.container;
  process.unit = asked.unit;
  process.uid = asked.uid;
  process.ancestors = asked.ancestors;
  if (asked.sha256) {
    process.sha256 = policy::parse_sha256(*asked.sha256);
    if (!process.sha256) {
      return fail(ErrorCode::InvalidInput, "--sha256 takes 64 hexadecimal digits");
    }
  }
  auto flow = policy::FlowCase::make(asked.flow, process, asked.host);
  if (flow && asked.inbound) {
    flow->begun_outside();
  }
  return flow;
}

/// The last that the file says of the flow with a process: an alert, rather than the flow's end.
std::optional<store::RecordedFlow> recorded_in(const std::string &path,
                                               const std::string &flow_id) {
  std::optional<store::RecordedFlow> found;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.find(flow_id) == line.npos) {
      continue;
    }
    auto flow = store::recorded_flow(line, flow_id);
    if (flow && (flow->attribution || !found)) {
      found = std::move(flow);
    }
  }
  return found;
}

Result<store::RecordedFlow> recorded(const PolicyExplainOptions &asked) {
  auto flow = asked.eve_file.empty() ? store::recorded_flow(asked.event)
                                     : recorded_in(asked.eve_file, asked.event);
  if (flow) {
    return std::move(*flow);
  }
  return asked.eve_file.empty()
             ? fail(ErrorCode::InvalidInput,
                    "that is no EVE line with a flow and who began it (flow.initiator)")
             : fail(ErrorCode::NotFound, asked.eve_file + ": nothing of flow " + asked.event);
}

Exit explain_recorded(const Common &common, const PolicyFile &file,
                      const PolicyExplainOptions &asked) {
  const auto flow = recorded(asked);
  if (!flow) {
    return report(flow.error());
  }
  const auto is_named = [&](const std::string &vm) {
    return vm == policy::kEveryOther || vm == flow->vm.raw();
  };
  if (std::none_of(file.vms.begin(), file.vms.end(), is_named)) {
    complain("note: this policy does not govern " + flow->vm.printable());
  }
  policy::FlowFacts facts{flow->tuple, flow->initiator, nullptr, nullptr, std::nullopt};
  facts.attribution = flow->attribution ? &*flow->attribution : nullptr;
  facts.sha256 = flow->sha256 ? &*flow->sha256 : nullptr;
  if (flow->host) {
    facts.host = *flow->host;
  }
  print_explanation(common, file, facts);
  return Exit::Ok;
}

} // namespace

Exit policy_check(const std::vector<std::string> &paths) {
  std::vector<PolicyFile> files;
  bool good = true;
  for (const auto &path : paths) {
    const auto inside = policy::policy_paths(path);
    if (!inside) {
      return bad_config(inside.error().message);
    }
    for (const auto &one : *inside) {
      auto file = policy::read_policy(one);
      if (!file) {
        good = false;
        complain(file.error().message);
        continue;
      }
      const auto failures = policy::failed_tests(*file);
      for (const auto &failure : failures) {
        complain(failure);
      }
      good = good && failures.empty();
      if (failures.empty()) {
        print_line(governs(*file));
      }
      warn_of_ends_from_outside(*file);
      files.push_back(std::move(*file));
    }
  }
  if (const auto twice = policy::overlap(files); !twice.empty()) {
    return bad_config(twice);
  }
  if (good && files.empty()) {
    complain("no policy there: a folder's are *.yaml and *.yml");
  }
  return good ? Exit::Ok : Exit::BadConfig;
}

Exit policy_test(const Common &common, const std::string &path, const FlowOptions &asked) {
  const auto file = policy::read_policy(path);
  if (!file) {
    return bad_config(file.error().message);
  }
  const auto flow = described(asked);
  if (!flow) {
    complain(flow.error().message);
    return Exit::Usage;
  }
  print_verdict(common, *file, flow->facts());
  return Exit::Ok;
}

Exit policy_test_live(const Common &common, const std::string &path, const std::string &target) {
  const auto file = policy::read_policy(path);
  if (!file) {
    return bad_config(file.error().message);
  }
  auto opened = open_target(target, common.patience, launch::SymbolFiles(common.symbols));
  if (!opened) {
    return report(opened.error());
  }
  const auto live = live_flows(*opened);
  if (!live) {
    return report(live.error());
  }
  for (const auto &flow : live->flows) {
    if (!flow.listens) {
      print_verdict(common, *file,
                    {flow.tuple, flow.initiator, &flow.attribution, nullptr, std::nullopt});
    }
  }
  return end_with(live->completeness);
}

Exit policy_explain(const Common &common, const std::string &path,
                    const PolicyExplainOptions &asked) {
  const auto file = policy::read_policy(path);
  if (!file) {
    return bad_config(file.error().message);
  }
  if (!asked.event.empty()) {
    return explain_recorded(common, *file, asked);
  }
  const auto flow = described(asked.flow);
  if (!flow) {
    complain(flow.error().message);
    return Exit::Usage;
  }
  print_explanation(common, *file, flow->facts());
  return Exit::Ok;
}

} // namespace outguard::cli
