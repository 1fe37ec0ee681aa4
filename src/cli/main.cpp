// outguard: reads the command line and calls the command (cli/commands.h).
#include <iostream>

#include <CLI/CLI.hpp>

#include "api/client.h"
#include "cli/commands.h"

namespace outguard::cli {
namespace {

/// The built-in file name that `run` writes to and `alert` reads from.
constexpr const char *kEveFile = "/var/log/outguard/eve.json";

/// Every option's storage; lives as long as the parse and the call.
struct Arguments {
  Common common;
  std::string target, protocol, local, remote, output, value, eve_file = kEveFile;
  std::string run_folder = api::kRunFolder, changes = ChangeOptions().folder;
  AllProcesses list;
  bool all = false;
  OneProcess one;
  IntelOptions intel;
  FetchOptions fetch;
  ReplayOptions replay;
  ExplainOptions explain;
  ChangeOptions change;
  PolicyExplainOptions policy;
  std::vector<std::string> policies;
  unsigned learn_seconds = 0;
  ActOptions act;
  AllowOptions allow;
  std::string action_id, plan_hash;
  std::string actions_folder = "/var/lib/outguard/actions";
  std::vector<std::string> passed_on;
};

class CommandLine {
public:
  CommandLine() : app_("Guards virtual machines from outside: who in the guest talks to whom.") {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", "outguard " OUTGUARD_VERSION);
    app_.fallthrough(); // `outguard ps TARGET -o json` as well as `outguard -o json ps TARGET`
    app_.add_option_function<std::string>(
            "-o,--output",
            [this](const std::string &word) {
              args_.common.format = word == "json" ? Format::Json : Format::Table;
            },
            "table, or json: one object a line")
        ->check(CLI::IsMember({"table", "json"}));
    app_.add_option_function<unsigned>(
        "--wait",
        [this](unsigned seconds) { args_.common.patience = std::chrono::seconds(seconds); },
        "seconds to wait for a guest that still boots (5)");
    app_.add_option("--symbols", args_.common.symbols,
                    "ISF file (Volatility 3 JSON, also .xz) of the guest's kernel, or a folder of "
                    "RELEASE.json.xz");
    add_guest_commands();
    add_intel_commands();
    add_policy_commands();
    add_alert_commands();
    add_actions();
    add_action_records();
    add_evidence();
    add_supervisor();
  }

  Exit run(int argc, char **argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError &problem) {
      return app_.exit(problem) == 0 ? Exit::Ok : Exit::Usage;
    }
    return chosen_();
  }

private:
  template <class Action>
  CLI::App *add(CLI::App *parent, const std::string &name, const std::string &help, Action action) {
    auto *command = parent->add_subcommand(name, help);
    command->fallthrough();
    command->callback([this, action] { chosen_ = action; });
    return command;
  }
  CLI::App *group(const std::string &name, const std::string &help) {
    auto *command = app_.add_subcommand(name, help);
    command->require_subcommand(1);
    command->fallthrough();
    return command;
  }
  void add_target(CLI::App *command) {
    command
        ->add_option("TARGET", args_.target,
                     "name, UUID, qmp:PATH, pid:N or file:PATH (see vm list)")
        ->required();
  }
  void add_feeds(CLI::App *command, IntelOptions &into, const std::string &name) {
    command
        ->add_option(name, into.paths,
                     "feeds or folders of feeds; or one image of `intel compile`, alone")
        ->required();
    command->add_option("--feed-format", into.format,
                        "list, csv, stix, misp, zeek, rpz, ...; else it is detected");
    command->add_flag("--allow-reserved", into.allow_reserved,
                      "accept private and documentation addresses");
    command->add_option("--warninglists", into.warninglists,
                        "MISP warninglists, or folders of them: what is known to be harmless");
    command->add_option("--allowlist", into.allowlists, "what is never told, one a line");
  }

  void add_guest_commands() {
    auto &a = args_;
    auto *vm = group("vm", "virtual machines of this host");
    add(vm, "list", "VMs found, what is seen of each, and why not more",
        [&a] { return vm_list(a.common); });
    auto *show = add(vm, "show", "one VM in full, and how it is guarded",
                     [&a] { return vm_show(a.common, a.target, a.run_folder); });
    add_target(show);
    auto *processes = add(&app_, "ps", "processes of a guest", [&a] {
      return a.one.pid != 0 ? ps_one(a.common, a.target, a.one) : ps(a.common, a.target, a.list);
    });
    add_target(processes);
    processes->add_flag("--tree", a.list.tree, "children below their parents");
    processes->add_flag("--scan", a.list.scan,
                        "search all of RAM for hidden processes: up to a second for each GiB");
    auto *one = processes->add_option("--pid", a.one.pid, "this process alone, in depth")
                    ->check(CLI::Range(1, 4'194'304)) // PID_MAX_LIMIT
                    ->excludes("--tree");
    processes->add_flag("--hash", a.one.hash, "its executable's SHA-256")->needs(one);
    processes->add_flag("--maps", a.one.maps, "what is mapped into it")->needs(one);
    auto *sockets_of = add(&app_, "sockets", "port - protocol - process of a guest",
                           [&a] { return sockets(a.common, a.target, a.all); });
    add_target(sockets_of);
    sockets_of->add_flag(
        "--all", a.all, "also unix, netlink, packet (sniffers), vsock, and what is not in use yet");
    auto *owner = add(&app_, "who", "the process behind one flow",
                      [&a] { return who(a.common, a.target, a.protocol, a.local, a.remote); });
    add_target(owner);
    owner->add_option("PROTOCOL", a.protocol)->required()->check(CLI::IsMember({"tcp", "udp"}));
    owner->add_option("LOCAL", a.local, "ADDRESS:PORT in the guest")->required();
    owner->add_option("REMOTE", a.remote, "ADDRESS:PORT of the other side")->required();
    auto *check_up = add(&app_, "doctor",
                         "what this host can do, what intelligence is in force, what of each VM is "
                         "seen, and what to do where something is wrong",
                         [&a] { return doctor(a.common, a.run_folder); });
    for (auto *command : {show, check_up}) {
      command->add_option("--run-folder", a.run_folder, "where a running supervisor is asked")
          ->capture_default_str();
    }
  }

  void add_intel_commands() {
    auto &a = args_;
    auto *intel = group("intel", "threat intelligence");
    add_feeds(add(intel, "check", "reads lists; tells what is accepted and what is not, and why",
                  [&a] { return intel_check(a.common, a.intel); }),
              a.intel, "PATH");
    auto *compile = add(intel, "compile", "makes one image of lists",
                        [&a] { return intel_compile(a.common, a.intel, a.output); });
    add_feeds(compile, a.intel, "PATH");
    compile->add_option("--out", a.output, "file to write")->required();
    auto *lookup = add(intel, "lookup", "what matches a value",
                       [&a] { return intel_lookup(a.common, a.intel, a.value); });
    lookup->add_option("VALUE", a.value, "address, address:port, name or URL")->required();
    add_feeds(lookup, a.intel, "--intel");
    add_explain(intel);
    auto *stats =
        add(intel, "stats", "what lists, or an image, hold: types, sources, confidence", [&a] {
          a.intel.changes = a.changes;
          return intel_stats(a.common, a.intel);
        });
    add_feeds(stats, a.intel, "PATH");
    add_counted_changes(stats);
    add_changes(intel);
    add_fetch(intel);
    auto *offline = add(&app_, "replay", "the same pipeline over a capture",
                        [&a] { return replay(a.common, a.replay); });
    offline->add_option("--pcap", a.replay.capture, "pcap or pcapng file")->required();
    offline->add_option("--memory", a.replay.memory, "a target that tells whose flows they are");
    offline->add_option("--eve", a.replay.eve_file, "file to append EVE lines to");
    add_feeds(offline, a.replay.intel, "--intel");
  }

  void add_explain(CLI::App *intel) {
    auto &a = args_;
    auto *explain = add(intel, "explain", "why a value or a flow matches, or why not", [&a] {
      a.intel.changes = a.changes;
      return intel_explain(a.common, a.intel, a.explain);
    });
    explain
        ->add_option("WHAT", a.explain.words,
                     "address, address:port, name, URL, fingerprint or hash; or tcp|udp LOCAL "
                     "REMOTE; or an EVE line; or, with --eve, a flow_id")
        ->required()
        ->expected(1, 3);
    explain->add_option("--eve", a.explain.eve_file, "EVE file with the flow")
        ->check(CLI::ExistingFile);
    add_feeds(explain, a.intel, "--intel");
    add_counted_changes(explain);
  }

  /// Both answer about what is in force.
  void add_counted_changes(CLI::App *command) {
    auto *folder = command->add_option("--changes", args_.changes,
                                       "folder of single adds and removes to count in");
    folder->capture_default_str();
    command
        ->add_flag_callback(
            "--no-changes", [this] { args_.changes.clear(); }, "the lists alone")
        ->excludes(folder);
  }

  void add_changes(CLI::App *intel) {
    auto &a = args_;
    auto *put = add(intel, "add", "single indicators, for a running supervisor, at once",
                    [&a] { return intel_add(a.change); });
    auto *take = add(intel, "remove", "takes indicators back, whoever lists them",
                     [&a] { return intel_remove(a.change); });
    auto *list = add(intel, "changes", "what was added and removed",
                     [&a] { return intel_changes(a.common, a.change); });
    for (auto *command : {put, take}) {
      command->add_option("VALUE", a.change.values, "as in a plain list")->required();
      command->add_flag("--allow-reserved", a.change.allow_reserved,
                        "accept private and documentation addresses");
      command->add_option("--warninglists", a.change.warninglists,
                          "MISP warninglists that the values are checked against");
    }
    for (auto *command : {put, take, list}) {
      command->add_option("--changes", a.change.folder, "folder that the supervisor watches")
          ->capture_default_str();
    }
  }

  void add_fetch(CLI::App *intel) {
    auto &f = args_.fetch;
    auto *fetch = add(intel, "fetch", "fetches a feed once over HTTP(S) and says what came",
                      [this] { return intel_fetch(args_.common, args_.fetch); });
    fetch->add_option("URL", f.url)->required();
    fetch->add_option("--kind", f.kind, "file, taxii (a 2.1 collection) or misp (a feed's folder)")
        ->check(CLI::IsMember({"file", "taxii", "misp"}))
        ->capture_default_str();
    fetch->add_option("--out", f.file, "file to write what is new to");
    fetch->add_option("--state", f.state,
                      "folder that keeps the last good copy; only what changed is then fetched");
    auto *key = fetch->add_option("--key-file", f.key_file,
                                  "file with an API key, or with headers 'Name: value'");
    fetch->add_option("--key-env", f.key_variable, "the same from a variable")->excludes(key);
    fetch->add_option("--ca-file", f.ca_file, "PEM file to trust instead of this host's");
    fetch->add_option("--proxy", f.proxy, "http://, https:// or socks5h://HOST:PORT");
    fetch->add_option("--timeout", f.timeout, "seconds in all")->check(CLI::Range(1, 86'400));
    fetch->add_option("--stall", f.stall, "seconds without a byte")->check(CLI::Range(1, 3'600));
    fetch->add_option("--attempts", f.attempts, "for each file or page")->check(CLI::Range(1, 10));
    fetch->add_option("--max-pages", f.max_pages)->check(CLI::Range(1, 1'000'000));
    fetch->add_option("--max-bytes", f.max_bytes, "at most 1 GiB");
  }

  void add_policy_commands() {
    auto &a = args_;
    auto *policy = group("policy", "which process of a VM may talk to whom (docs/policy.md)");
    add(policy, "check", "reads policies strictly and runs the tests in them",
        [&a] { return policy_check(a.policies); })
        ->add_option("PATH", a.policies, "files, or folders of *.yaml")
        ->required();
    auto *test = add(policy, "test", "what a policy says of one flow, or of a running guest", [&a] {
      return a.target.empty() ? policy_test(a.common, a.value, a.policy.flow)
                              : policy_test_live(a.common, a.value, a.target);
    });
    auto *explain = add(policy, "explain", "why it says so, rule by rule",
                        [&a] { return policy_explain(a.common, a.value, a.policy); });
    for (auto *command : {test, explain}) {
      command->add_option("FILE", a.value)->required();
    }
    auto *live = test->add_option("--vm", a.target, "every connection that this VM has now");
    add_flow(test)->excludes(live);
    explain->add_option("EVENT", a.policy.event,
                        "instead of --flow: an EVE line; or, with --eve, a flow_id");
    explain->add_option("--eve", a.policy.eve_file, "EVE file with the flow")
        ->check(CLI::ExistingFile);
    add_flow(explain);
    auto *learn = add(policy, "learn", "proposes a policy from what a VM's processes do", [&a] {
      return a.policy.eve_file.empty()
                 ? policy_learn(a.common, a.target, std::chrono::seconds(a.learn_seconds))
                 : policy_learn_recorded(a.target, a.policy.eve_file);
    });
    add_target(learn);
    auto *watch = learn->add_option("--for", a.learn_seconds, "seconds to watch; else one look");
    watch->check(CLI::Range(0, 86'400));
    learn->add_option("--eve", a.policy.eve_file, "from what this file tells of the VM (its name)")
        ->check(CLI::ExistingFile)
        ->excludes(watch);
  }

  CLI::Option *add_flow(CLI::App *command) {
    auto &flow = args_.policy.flow;
    auto *words = command->add_option("--flow", flow.flow,
                                      "'tcp 10.0.0.2:4000 -> 9.9.9.9:443', the guest's end first; "
                                      "'<-': begun by the other end");
    command->add_flag("--inbound", flow.inbound, "the same as '<-'");
    command->add_option("--exe", flow.exe, "path; what is not said of the process is not known");
    command->add_option("--comm", flow.comm, "as --exe names it");
    command->add_option("--sha256", flow.sha256, "of the executable");
    command->add_option("--uid", flow.uid);
    command->add_option("--container", flow.container, "id, or none");
    command->add_option("--unit", flow.unit, "systemd's, or none");
    command->add_option("--ancestor", flow.ancestors, "names, parent first");
    command->add_option("--host", flow.host, "a name seen in the flow; '': it has none");
    return words;
  }

  void add_alert_commands() {
    auto &a = args_;
    auto *alert = group("alert", "alerts of the supervisor");
    for (auto *command : {add(alert, "list", "what the EVE file holds",
                              [&a] { return alert_list(a.common, a.eve_file); }),
                          add(alert, "follow", "alerts as they come",
                              [&a] { return alert_follow(a.common, a.eve_file); })}) {
      command->add_option("--eve", a.eve_file, "EVE file")->capture_default_str();
    }
  }

  void add_run_folder(CLI::App *command) {
    command->add_option("--run-folder", args_.run_folder, "where a running supervisor is asked")
        ->capture_default_str();
  }

  /// An action that a running supervisor carries out.
  template <class Action>
  CLI::App *add_act(const std::string &name, const std::string &help, Action action) {
    auto &act = args_.act;
    auto *command = add(&app_, name, help, [this, action] {
      args_.act.run_folder = args_.run_folder;
      return action(args_.common, args_.act);
    });
    command->add_option("TARGET", act.target, "a VM that is guarded: name, UUID, qmp:PATH or pid:N")
        ->required();
    command->add_option("--why", act.why, "kept in the journal");
    command->add_flag("--dry-run", act.dry_run, "everything but the last call");
    command->add_flag("-y,--yes", act.yes, "do not ask, on a terminal");
    add_run_folder(command);
    return command;
  }

  void add_actions() {
    auto &act = args_.act;
    const auto on_process = [&](const std::string &name, ResponseAction action,
                                const std::string &help) {
      auto *command =
          add_act(name, help, [action](const Common &common, const ActOptions &options) {
            return act_on_process(common, options, action);
          });
      command->add_option("PID", act.pid, "as the guest's own ps shows it")
          ->required()
          ->check(CLI::Range(1, 4'194'304)); // PID_MAX_LIMIT
      return command;
    };
    on_process("kill", ResponseAction::Kill, "ends a process of a guest; cannot be undone")
        ->add_flag("--tree", act.tree, "its descendants, too");
    on_process("suspend", ResponseAction::Suspend, "stops a process of a guest until `resume`");
    on_process("resume", ResponseAction::Resume, "lets a stopped process of a guest go on");
    const auto on_vm = [&](const std::string &name, ResponseAction action,
                           const std::string &help) {
      return add_act(name, help, [action](const Common &common, const ActOptions &options) {
        return act_on_vm(common, options, action);
      });
    };
    auto *blocks = add_act("block", "drops some of a VM's traffic at its tap, for a time", block);
    blocks
        ->add_option("WHAT", act.words,
                     "flow tcp|udp LOCAL:PORT REMOTE:PORT, remote ADDRESS|NETWORK, or port "
                     "in|out|both tcp|udp N")
        ->required()
        ->expected(1, 4);
    auto *isolates =
        add_act("isolate", "drops all of a VM's traffic, for a time or until `release`", isolate);
    isolates
        ->add_option("--allow", act.words,
                     "address or network that it may still talk to, beside protected_networks")
        ->expected(1)
        ->take_all();
    for (auto *command : {blocks, isolates}) {
      command->add_option("--for", act.time_to_live, "90s, 10m, 1h, 2d: then it ends by itself")
          ->required();
    }
    add_act("reset", "ends one TCP connection of a VM, at both ends; cannot be undone", reset)
        ->add_option("FLOW", act.words, "tcp LOCAL:PORT REMOTE:PORT, the guest's end first")
        ->required()
        ->expected(3);
    on_vm("release", ResponseAction::Release, "ends the isolation of a VM");
    on_vm("pause", ResponseAction::PauseVm, "stops all of a VM until `unpause`");
    on_vm("unpause", ResponseAction::UnpauseVm, "lets a VM go on that `pause` stopped");
  }

  void add_evidence() {
    auto &a = args_;
    auto *command = add_act(
        "evidence", "files what can be read of a process: docs/evidence.md",
        [&a](const Common &common, const ActOptions &options) {
          return a.output.empty()
                     ? act_on_process(common, options, ResponseAction::Evidence)
                     : evidence_into(common, {options.target, a.output, options.pid, options.why});
        });
    command->add_option("PID", a.act.pid, "as the guest's own ps shows it")
        ->required()
        ->check(CLI::Range(1, 4'194'304)); // PID_MAX_LIMIT
    command->add_option("--out", a.output,
                        "do without a supervisor, into this file: of any TARGET, file:PATH too, "
                        "and without the last packets, which a supervisor keeps");
  }

  void add_action_records() {
    auto &a = args_;
    auto *action = group("action", "what was done to VMs, by whom, why, and what came of it");
    auto *list = add(action, "list", "the newest first",
                     [&a] { return action_list(a.common, a.run_folder); });
    auto *show = add(action, "show", "one of them",
                     [&a] { return action_show(a.common, a.run_folder, a.action_id); });
    auto *undo = add(action, "undo", "takes it back; of what waits, withdraws it",
                     [&a] { return action_undo(a.common, a.run_folder, a.action_id); });
    auto *approve = add(action, "approve", "lets exactly this plan go ahead", [&a] {
      return action_approve(a.common, a.run_folder, a.action_id, a.plan_hash);
    });
    for (auto *command : {show, undo, approve}) {
      command->add_option("ID", a.action_id, "as `action list` shows it")->required();
    }
    approve->add_option("HASH", a.plan_hash, "its plan, as `action show` shows it")->required();
    auto *verify = add(action, "verify", "is the journal of actions whole; asks no supervisor",
                       [&a] { return action_verify(a.common, a.actions_folder); });
    verify->add_option("--folder", a.actions_folder, "of the journal (/var/lib/outguard/actions)");
    auto *allow = group("allow", "what guards protect from every action");
    auto *check = add(allow, "check", "would a guard refuse this process or remote, and why",
                      [&a] { return allow_check(a.common, a.run_folder, a.target, a.value); });
    add_target(check);
    check->add_option("WHAT", a.value, "a pid of the guest, an address or a network")->required();
    auto *added = add(allow, "add", "nothing is done to it from now on, by hand or by policy",
                      [&a] { return allow_add(a.common, a.run_folder, a.allow); });
    added
        ->add_option("WHAT", a.allow.what,
                     "an address or network, a file's whole path in the guest, or a process's name")
        ->required();
    added->add_option("--vm", a.allow.vm, "in this VM alone (name, UUID, qmp:PATH, pid:N)");
    added->add_option("--for", a.allow.time_to_live, "90s, 10m, 1h, 2d; else until it is removed");
    added->add_option("--why", a.allow.why, "goes into the journal")->required();
    auto *removed = add(allow, "remove", "takes an entry away",
                        [&a] { return allow_remove(a.common, a.run_folder, a.action_id); });
    removed->add_option("ID", a.action_id, "as `allow list` shows it")->required();
    auto *entries = add(allow, "list", "what is protected, and by whom",
                        [&a] { return allow_list(a.common, a.run_folder); });
    auto *accept = add(app_.get_subcommand("intel"), "accept",
                       "accepts that intelligence lost what a supervisor told, and compiles anew",
                       [&a] { return accept_losses(a.common, a.run_folder); });
    for (auto *command : {list, show, undo, approve, check, added, removed, entries, accept}) {
      add_run_folder(command);
    }
  }

  void add_supervisor() {
    auto &a = args_;
    auto *supervisor = add(&app_, "run", "the main job, in the foreground (see run --help)",
                           [&a] { return become_supervisor(a.passed_on); });
    supervisor->prefix_command();
    supervisor->set_help_flag();
    supervisor->fallthrough(false);
    supervisor->callback([this, supervisor] {
      args_.passed_on = supervisor->remaining();
      if (args_.common.format == Format::Json) { // said before `run`
        args_.passed_on.insert(args_.passed_on.end(), {"-o", "json"});
      }
      chosen_ = [this] { return become_supervisor(args_.passed_on); };
    });
    auto *config = group("config", "the configuration file");
    auto *check = add(config, "check", "reads it strictly and says what is wrong", [&a] {
      return become_supervisor({"--config", a.value, "--check-config"});
    });
    check->add_option("FILE", a.value)->required();
  }

  CLI::App app_;
  Arguments args_;
  std::function<Exit()> chosen_;
};

} // namespace
} // namespace outguard::cli

int main(int argc, char **argv) {
  using namespace outguard::cli;
  try {
    return static_cast<int>(CommandLine().run(argc, argv));
  } catch (const std::exception &problem) {
    complain(problem.what());
    return static_cast<int>(Exit::Failed);
  }
}
