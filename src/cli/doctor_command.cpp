// doctor: what this host can do, what the supervisor has in force, what of each VM is seen; and
// what to do where something is wrong.
#include <filesystem>

#include <fmt/format.h>

#include "api/status_json.h"
#include "cli/commands.h"
#include "cli/host_checks.h"
#include "cli/status_lines.h"
#include "facts/guest_text.h"

namespace outguard::cli {

namespace {

using store::CheckRow;
using Level = CheckRow::Level;

constexpr const char *kActionsIn = "actions in";

/// False: it is a problem.
bool show(const Common &common, const CheckRow &check) {
  const bool good = check.level != Level::Problem;
  if (common.format == Format::Json) {
    print_line(store::check_json(check));
    return good;
  }
  print_line(fmt::format("{:<4} {}{}{}",
                         check.level == Level::Ok     ? "ok"
                         : check.level == Level::Note ? "note"
                                                      : "NO",
                         check.what, check.reason.empty() ? "" : ": ", check.reason));
  if (!check.remedy.empty()) {
    print_line("     -> " + check.remedy);
  }
  return good;
}

/// Those that the supervisor has; else those that one would have by itself.
std::vector<StateFolder> folders_of(const SupervisorsFound &found, const std::string &run_folder) {
  std::vector<StateFolder> folders{{"run folder", run_folder}};
  if (found.running.empty()) {
    folders.insert(folders.end(), {{"single adds and removes in", "/var/lib/outguard/intel"},
                                   {"copies of feeds in", "/var/lib/outguard/feeds"},
                                   {"alerts in", "/var/log/outguard"},
                                   {kActionsIn, "/var/lib/outguard/actions"}});
  }
  for (const auto &status : found.running) {
    const auto eve = std::filesystem::path(status.eve_file).parent_path().string();
    folders.insert(folders.end(),
                   {{"single adds and removes in", status.intelligence.changes.folder},
                    {"copies of feeds in", status.cache},
                    {"alerts in", eve.empty() ? "." : eve}});
    if (!status.actions.folder.empty()) { // an older supervisor does not tell
      folders.push_back({kActionsIn, status.actions.folder});
    }
  }
  return folders;
}

bool show_supervisors(const Common &common, const SupervisorsFound &found) {
  bool good = true;
  if (found.running.empty()) {
    show(common, {"supervisor", Level::Note,
                  "nobody guards this host: " + GuestText(found.reason).printable(),
                  "`outguard run` starts one"});
  }
  for (const auto &problem : found.problems) {
    good = show(common, {"supervisor", Level::Problem, GuestText(problem).printable(),
                         "it hangs, or is of another version: restart it"}) &&
           good;
  }
  const auto now = wall_now();
  for (const auto &status : found.running) {
    for (const auto &check : checks_of(status, now)) {
      good = show(common, check) && good;
    }
    if (common.format == Format::Json) {
      print_line(api::supervisor_json(status));
      continue;
    }
    print_line("");
    for (const auto &[name, value] : intel_lines(status.intelligence, now)) {
      print_line(fmt::format("{:<12} {}", name, value));
    }
  }
  if (found.running.empty() && common.format == Format::Json) {
    print_line(api::no_supervisor_json(found.reason));
  }
  return good;
}

} // namespace

Exit doctor(const Common &common, const std::string &run_folder) {
  bool good = true;
  for (const auto &check : check_host()) {
    good = show(common, check) && good;
  }
  const auto found = look_for_supervisors(run_folder);
  for (const auto &folder : folders_of(found, run_folder)) {
    good = show(common, check_folder(folder)) && good;
    if (folder.what == kActionsIn) {
      good = show(common, check_actions_journal(folder.path)) && good;
    }
  }
  good = show_supervisors(common, found) && good;
  if (common.format == Format::Table) {
    print_line("");
  }
  const auto listed = vm_list(common);
  return good ? listed : Exit::Failed;
}

} // namespace outguard::cli
