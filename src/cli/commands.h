#pragma once
// The commands, one function each, with plain arguments: who parses the command line is main.cpp.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/output.h"
#include "facts/response.h"

namespace outguard::cli {

/// Options that every command has.
struct Common {
  Format format = Format::Table;
  std::chrono::milliseconds patience{5000}; ///< for a guest that still boots
  std::string symbols;                      ///< an ISF file, or a folder of them; empty: none
};

Exit vm_list(const Common &common);
/// `run_folder`: where supervisors are asked.
Exit vm_show(const Common &common, const std::string &target, const std::string &run_folder);
struct AllProcesses {
  bool tree = false;
  bool scan = false; ///< look for hidden ones in all of RAM too
};
Exit ps(const Common &common, const std::string &target, const AllProcesses &wanted);
struct OneProcess {
  std::int32_t pid = 0;
  bool hash = false; ///< of its executable
  bool maps = false;
};
Exit ps_one(const Common &common, const std::string &target, const OneProcess &wanted);
/// `all`: of every family, and those neither bound nor connected.
Exit sockets(const Common &common, const std::string &target, bool all);
Exit who(const Common &common, const std::string &target, const std::string &protocol,
         const std::string &local, const std::string &remote);

struct IntelOptions {
  std::vector<std::string> paths;
  bool allow_reserved = false;
  std::string format; ///< of all of them; empty: detected
  std::vector<std::string> warninglists, allowlists;
  std::string changes; ///< folder of single adds and removes to count in; empty: none
};
Exit intel_check(const Common &common, const IntelOptions &options);
Exit intel_compile(const Common &common, const IntelOptions &options, const std::string &output);
Exit intel_lookup(const Common &common, const IntelOptions &options, const std::string &value);

struct ExplainOptions {
  std::vector<std::string> words; ///< a value; or protocol, local and remote end; or an EVE line
  std::string eve_file;           ///< then the word is a flow_id in it
};
Exit intel_explain(const Common &common, const IntelOptions &options, const ExplainOptions &asked);
Exit intel_stats(const Common &common, const IntelOptions &options);

struct ChangeOptions {
  std::vector<std::string> values;
  std::string folder = "/var/lib/outguard/intel"; ///< that the supervisor watches
  bool allow_reserved = false;
  std::vector<std::string> warninglists;
};
Exit intel_add(const ChangeOptions &options);
Exit intel_remove(const ChangeOptions &options);
Exit intel_changes(const Common &common, const ChangeOptions &options);

struct FetchOptions {
  std::string url, kind = "file";
  std::string key_file, key_variable, ca_file, proxy;
  std::string state; ///< a folder with the last good copies; empty: none, all is fetched
  std::string file;  ///< where a new feed goes too; empty: nowhere
  unsigned timeout = 900, stall = 30; ///< seconds
  unsigned attempts = 4, max_pages = 10'000;
  std::uint64_t max_bytes = std::uint64_t{1} << 30;
};
Exit intel_fetch(const Common &common, const FetchOptions &options);

struct ReplayOptions {
  std::string capture;
  std::string memory; ///< a target; empty: no attribution
  IntelOptions intel;
  std::string eve_file; ///< empty: with -o json to stdout, else nowhere
};
Exit replay(const Common &common, const ReplayOptions &options);

/// A flow as a person describes it (policy/files/flow_case.h).
struct FlowOptions {
  std::string flow;
  bool inbound = false;
  std::optional<std::string> exe, comm, container, unit, sha256, host;
  std::optional<std::uint32_t> uid;
  std::vector<std::string> ancestors;
};
/// An `event` alone is an EVE line; with `eve_file`, a flow_id in it. Empty: `flow`.
struct PolicyExplainOptions {
  FlowOptions flow;
  std::string event, eve_file;
};
Exit policy_check(const std::vector<std::string> &paths);
Exit policy_test(const Common &common, const std::string &file, const FlowOptions &asked);
/// What the policy says of every connection that a guest has now.
Exit policy_test_live(const Common &common, const std::string &file, const std::string &target);
Exit policy_explain(const Common &common, const std::string &file,
                    const PolicyExplainOptions &asked);
Exit policy_learn(const Common &common, const std::string &target, std::chrono::seconds time);
/// `vm`: name or UUID, as the EVE file has it.
Exit policy_learn_recorded(const std::string &vm, const std::string &eve_file);

Exit alert_list(const Common &common, const std::string &eve_file);
Exit alert_follow(const Common &common, const std::string &eve_file);
Exit doctor(const Common &common, const std::string &run_folder);

/// What people have a supervisor do; each waits until it is done and proved, or told why not.
struct ActOptions {
  std::string target, run_folder;
  std::int32_t pid = 0;           ///< of actions on a process
  std::vector<std::string> words; ///< of block: what; of isolate: what is let through
  std::string time_to_live;       ///< of both
  std::string why;
  bool tree = false, dry_run = false, yes = false;
};
Exit act_on_process(const Common &common, const ActOptions &options, ResponseAction action);
Exit act_on_vm(const Common &common, const ActOptions &options, ResponseAction action);
Exit block(const Common &common, const ActOptions &options);
Exit reset(const Common &common, const ActOptions &options);
Exit isolate(const Common &common, const ActOptions &options);
Exit action_list(const Common &common, const std::string &run_folder);
Exit action_show(const Common &common, const std::string &run_folder, const std::string &id);
Exit action_undo(const Common &common, const std::string &run_folder, const std::string &id);
Exit action_approve(const Common &common, const std::string &run_folder, const std::string &id,
                    const std::string &plan_hash);
/// Of all files of the journal in a folder; asks no supervisor.
Exit action_verify(const Common &common, const std::string &folder);
/// Would a guard refuse it? `what`: a pid, an address or a network.
Exit allow_check(const Common &common, const std::string &run_folder, const std::string &target,
                 const std::string &what);
struct AllowOptions {
  std::string what, vm, time_to_live, why;
};
/// What no guard lets be touched from now on: a remote, a file's path in the guest, or a name.
Exit allow_add(const Common &common, const std::string &run_folder, const AllowOptions &options);
Exit allow_remove(const Common &common, const std::string &run_folder, const std::string &id);
Exit allow_list(const Common &common, const std::string &run_folder);
Exit accept_losses(const Common &common, const std::string &run_folder);

struct EvidenceOptions {
  std::string target, file;
  std::int32_t pid = 0;
  std::string why;
};
/// Collected by this command itself, of a VM or a dump, into a file.
Exit evidence_into(const Common &common, const EvidenceOptions &options);

/// Becomes `outguardd` with these arguments; returns only when that failed.
Exit become_supervisor(const std::vector<std::string> &arguments);

} // namespace outguard::cli
