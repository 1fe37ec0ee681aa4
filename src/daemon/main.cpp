// outguardd: the supervisor in the foreground. `outguard run` becomes this program.
#include <CLI/CLI.hpp>

#include "base/log.h"
#include "daemon/config.h"
#include "daemon/supervisor.h"

namespace {

constexpr int kBadConfig = 4; // the contract's exit code
constexpr int kUsage = 2;
constexpr const char *kDefaultConfig = "/etc/outguard/outguard.yaml";

int complain(const outguard::Error &error, int code) {
  std::fprintf(stderr, "outguardd: %s\n", error.message.c_str());
  return code;
}

int run(int argc, char **argv) {
  using namespace outguard;
  CLI::App app("Guards every VM of this host: detect, attribute, respond. Monitors unless told to "
               "enforce.",
               "outguard run");
  std::string config_file;
  std::string eve_file;
  std::string run_folder;
  std::string actions_folder;
  std::string output = "table";
  std::vector<std::string> feeds;
  std::vector<std::string> vms;
  bool enforce = false;
  bool prevent = false;
  bool allow_reserved = false;
  bool check_only = false;
  bool debug = false;
  app.add_option("--config", config_file,
                 "configuration (/etc/outguard/outguard.yaml if it is there)");
  app.add_option("--intel", feeds, "lists or folders of lists, beside those configured");
  app.add_flag("--allow-reserved", allow_reserved,
               "accept private and documentation addresses in --intel");
  app.add_option("--eve", eve_file, "file for alerts, one EVE line each");
  app.add_option("--run-folder", run_folder,
                 "folder of the socket that `outguard doctor` asks (/run/outguard)");
  app.add_option("--actions-folder", actions_folder,
                 "folder of the journal of actions (/var/lib/outguard/actions)");
  app.add_option("--vm", vms, "guard only these (name or UUID)");
  app.add_flag("--enforce", enforce, "carry out responses; without it they are only planned");
  app.add_flag(
         "--prevent", prevent,
         "as --enforce, and new flows are held until they were judged, so that not even their "
         "first packet leaves")
      ->excludes("--enforce");
  app.add_option("-o,--output", output, "alerts on stdout as table (lines) or json")
      ->check(CLI::IsMember({"table", "json"}));
  app.add_flag("--check-config", check_only, "read the configuration and end");
  app.add_flag("--debug", debug, "log more");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &problem) {
    return app.exit(problem) == 0 ? 0 : kUsage;
  }
  log::start("outguardd", debug ? log::Level::Debug : log::Level::Info);

  if (config_file.empty() && ::access(kDefaultConfig, R_OK) == 0) {
    config_file = kDefaultConfig;
  }
  daemon::Config config;
  config.policy = daemon::default_policy(ResponseMode::Monitor);
  if (!config_file.empty()) {
    auto loaded = daemon::load_config(config_file);
    if (!loaded) {
      return complain(loaded.error(), kBadConfig);
    }
    config = std::move(*loaded);
  }
  if (check_only) {
    std::printf("%s: good\n", config_file.empty() ? "built-in defaults" : config_file.c_str());
    return 0;
  }
  for (const auto &feed : feeds) {
    config.intel.files.push_back({feed, allow_reserved, ""});
  }
  config.vms.insert(config.vms.end(), vms.begin(), vms.end());
  if (!eve_file.empty()) {
    config.eve_file = eve_file;
  }
  if (!run_folder.empty()) {
    config.run_folder = run_folder;
  }
  if (!actions_folder.empty()) {
    config.actions_folder = actions_folder;
  }
  config.file = config_file;
  if (enforce || prevent) {
    auto enforced = detect::Policy::make(prevent ? ResponseMode::Prevent : ResponseMode::Enforce,
                                         config.policy.rules(), config.policy.firewall_ttl());
    if (!enforced) {
      return complain(enforced.error(), kBadConfig);
    }
    config.policy = std::move(*enforced);
  }
  if (::geteuid() != 0) {
    return complain({ErrorCode::Permission,
                     "must run as root: VMs' memory and taps can be opened by root only"},
                    1);
  }
  const auto done = daemon::supervise(
      config, output == "json" ? daemon::Show::Json : daemon::Show::Lines, OUTGUARD_VERSION);
  return done ? 0 : complain(done.error(), 1);
}

} // namespace

int main(int argc, char **argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception &problem) {
    std::fprintf(stderr, "outguardd: %s\n", problem.what());
    return 1;
  }
}
