#include "cli/status_lines.h"

#include <algorithm>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include "api/client.h"
#include "cli/enforcement_lines.h"
#include "facts/guest_text.h"

namespace outguard::cli {

namespace {

using store::CheckRow;
using Level = CheckRow::Level;

std::string shown(const std::string &text) {
  return GuestText(text).printable();
}

/// "10:02 UTC", with the day where it is not today's.
std::string clock(const api::Time &time, WallTime now) {
  if (!time) {
    return "?";
  }
  const auto second = std::chrono::floor<std::chrono::seconds>(*time);
  const bool today =
      std::chrono::floor<std::chrono::days>(*time) == std::chrono::floor<std::chrono::days>(now);
  const auto parts = fmt::gmtime(second.time_since_epoch().count());
  return today ? fmt::format("{:%H:%M} UTC", parts) : fmt::format("{:%Y-%m-%d %H:%M} UTC", parts);
}

std::string plural(std::uint64_t count, const std::string &what) {
  return grouped(count) + " " + what + (count == 1 ? "" : "s");
}

bool is_failing(const api::FeedStatus &feed) {
  return feed.failures != 0;
}

/// "failing for 2 h: HTTP 403, keeps the copy of 10:02 UTC".
std::string failure(const api::FeedStatus &feed, WallTime now) {
  return fmt::format("failing for {}: {}, {}", age(feed.failing_since, now), shown(feed.problem),
                     feed.copy_of ? "keeps the copy of " + clock(feed.copy_of, now)
                                  : "and there is no earlier copy");
}

std::string failing_feeds(const api::IntelStatus &intel, WallTime now) {
  const auto count =
      static_cast<std::uint64_t>(std::count_if(intel.feeds.begin(), intel.feeds.end(), is_failing));
  if (count == 0) {
    return "";
  }
  const auto longest =
      std::min_element(intel.feeds.begin(), intel.feeds.end(), [](const auto &a, const auto &b) {
        return is_failing(a) != is_failing(b) ? is_failing(a) : a.failing_since < b.failing_since;
      });
  return fmt::format("; {}{} {}", plural(count, "feed"), count == 1 ? "" : ", the longest",
                     failure(*longest, now)) +
         " (" + shown(longest->name) + ")";
}

std::string newest(const api::IntelStatus &intel, WallTime now) {
  api::Time latest;
  for (const auto &source : intel.sources) {
    latest = std::max(latest, source.changed); // nullopt is less than any
  }
  return latest ? ", newest " + age(latest, now) + " old" : "";
}

/// Those of which nothing was taken; a folder of feeds may well hold a licence.
std::string barren_sources(const api::IntelStatus &intel) {
  std::string first;
  std::uint64_t count = 0;
  for (const auto &source : intel.sources) {
    if (!source.problem.empty() && ++count == 1) {
      first = shown(source.name) + ": " + shown(source.problem);
    }
  }
  return count == 0 ? ""
                    : "nothing taken of " + plural(count, "source") +
                          (count == 1 ? ", " : ", the first ") + first;
}

std::string by_hand(const api::ChangesStatus &changes) {
  return fmt::format("{} added, {} removed", grouped(changes.added), grouped(changes.removed));
}

std::string counts(const std::vector<NamedCount> &all) {
  std::string text;
  for (const auto &count : all) {
    if (count.value != 0) {
      text += (text.empty() ? "" : ", ") + shown(count.name) + " " + grouped(count.value);
    }
  }
  return text;
}

std::string source_line(const api::SourceStatus &source, WallTime now) {
  auto text = fmt::format("{}: {}", shown(source.name),
                          source.problem.empty() ? plural(source.entries, "indicator") + ", " +
                                                       age(source.changed, now) + " old"
                                                 : "nothing taken: " + shown(source.problem));
  return source.rejected == 0 ? text : text + ", " + grouped(source.rejected) + " rejected";
}

/// Without its name.
std::string feed_state(const api::FeedStatus &feed, WallTime now) {
  const auto state = is_failing(feed) ? failure(feed, now)
                     : feed.confirmed ? "copy of " + clock(feed.copy_of, now) + ", the latest " +
                                            age(feed.confirmed, now) + " ago"
                                      : "not fetched yet";
  const auto next = feed.next_try && *feed.next_try > now
                        ? ", next try in " + age(now - (*feed.next_try - now), now)
                        : std::string(feed.last_try ? "" : ", being fetched");
  return state + next;
}

} // namespace

SupervisorsFound look_for_supervisors(const std::string &run_folder) {
  auto found = api::find_supervisors(run_folder);
  SupervisorsFound all{std::move(found.running), std::move(found.problems), ""};
  if (!all.running.empty()) {
    return all;
  }
  all.reason = !all.problems.empty() ? all.problems.front()
               : ::access(run_folder.c_str(), F_OK) == 0 && ::access(run_folder.c_str(), R_OK) != 0
                   ? run_folder + " can be read by root only"
                   : "no supervisor answers in " + run_folder +
                         " (if it has another run_folder, give that as --run-folder)";
  return all;
}

std::string age(const api::Time &time, WallTime now) {
  if (!time) {
    return "?";
  }
  const auto seconds = std::max<std::int64_t>((now - *time) / std::chrono::seconds(1), 0);
  constexpr std::int64_t kMinute = 60, kHour = 3600, kDay = 86'400;
  return seconds < 2 * kMinute ? fmt::format("{} s", seconds)
         : seconds < 2 * kHour ? fmt::format("{} min", seconds / kMinute)
         : seconds < 2 * kDay  ? fmt::format("{} h", seconds / kHour)
                               : fmt::format("{} days", seconds / kDay);
}

std::string grouped(std::uint64_t number) {
  auto text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string intel_headline(const api::IntelStatus &intel, WallTime now) {
  if (intel.indicators == 0 && intel.changes.added == 0) {
    return (intel.compiling ? "NONE YET, being compiled" : "NONE: nothing is matched") +
           (intel.problem.empty() ? "" : ": " + shown(intel.problem)) + failing_feeds(intel, now);
  }
  auto text = fmt::format("{} from {}{}", plural(intel.indicators, "indicator"),
                          plural(intel.sources.size() + intel.sources_left_out, "source"),
                          newest(intel, now));
  if (intel.changes.added + intel.changes.removed != 0) {
    text += "; " + by_hand(intel.changes) + " by hand";
  }
  if (!intel.problem.empty()) {
    text += "; NOT REPLACED at " + clock(intel.compiled, now) + ": " + shown(intel.problem);
  }
  if (!intel.short_of.empty()) {
    text += fmt::format("; SHORT of what the last run had: {}", shown(intel.short_of.front()));
  }
  return text + failing_feeds(intel, now);
}

NamedLines intel_lines(const api::IntelStatus &intel, WallTime now) {
  NamedLines lines{{"intelligence", intel_headline(intel, now)}};
  if (const auto types = counts(intel.types); !types.empty()) {
    lines.emplace_back("by type", types);
  }
  if (intel.since) {
    lines.emplace_back("in force", fmt::format("version {}, the lists since {}{}", intel.version,
                                               clock(intel.since, now),
                                               intel.compiling ? "; being compiled anew" : ""));
  }
  for (const auto &source : intel.sources) {
    lines.emplace_back("source", source_line(source, now));
  }
  if (intel.sources_left_out != 0) {
    lines.emplace_back("source", fmt::format("... and {} more", intel.sources_left_out));
  }
  if (intel.warninglists + intel.allowlist_entries != 0) {
    lines.emplace_back("guarded by", fmt::format("{} with {} entries; allowlist entries: {}",
                                                 plural(intel.warninglists, "warninglist"),
                                                 grouped(intel.warninglist_entries),
                                                 grouped(intel.allowlist_entries)));
  }
  for (const auto &feed : intel.feeds) {
    lines.emplace_back("feed", shown(feed.name) + ": " + feed_state(feed, now));
  }
  lines.emplace_back(
      "by hand", by_hand(intel.changes) + " (" + shown(intel.changes.folder) + ")" +
                     (intel.changes.problem.empty() ? "" : "; " + shown(intel.changes.problem)));
  return lines;
}

NamedLines guard_lines(const api::SupervisorStatus &supervisor, const api::GuardStatus &guard,
                       WallTime now) {
  NamedLines lines{
      {"guard", fmt::format("supervisor {}, mode {}; {} for {}{}", supervisor.pid,
                            shown(supervisor.mode), shown(guard.state), age(guard.since, now),
                            guard.reason.empty() ? "" : ": " + shown(guard.reason))}};
  const auto now_in_force = supervisor.intelligence.version;
  lines.emplace_back("sensor has", !guard.sensor              ? "there is no sensor at the moment"
                                   : guard.intel_version == 0 ? "no intelligence yet"
                                   : guard.intel_version == now_in_force
                                       ? fmt::format("version {}, which is in force", now_in_force)
                                       : fmt::format("version {}, {} is coming",
                                                     guard.intel_version, now_in_force));
  if (guard.counted) {
    const auto dropped = counts(guard.packets_dropped);
    lines.emplace_back("packets",
                       fmt::format("{} seen, {} processed, dropped: {} ({} ago)",
                                   grouped(guard.packets_seen), grouped(guard.packets_processed),
                                   dropped.empty() ? "none" : dropped, age(guard.counted, now)));
    lines.emplace_back("counters", counts(guard.counters));
  }
  const auto blocking = enforcement_lines(guard);
  lines.insert(lines.end(), blocking.begin(), blocking.end());
  const auto intel = intel_lines(supervisor.intelligence, now);
  lines.insert(lines.end(), intel.begin(), intel.end());
  return lines;
}

std::vector<CheckRow> checks_of(const api::SupervisorStatus &status, WallTime now) {
  const auto &intel = status.intelligence;
  std::vector<CheckRow> checks;
  const auto add = [&](std::string what, bool good, std::string reason, std::string remedy) {
    checks.push_back({std::move(what), good ? Level::Ok : Level::Problem, std::move(reason),
                      good ? "" : std::move(remedy)});
  };
  add("supervisor", true,
      fmt::format("pid {}, mode {}, since {}, guards {}", status.pid, shown(status.mode),
                  clock(status.started, now), plural(status.guards.size(), "VM")),
      "");
  const bool any = intel.indicators + intel.changes.added != 0;
  add("intelligence in force", any, intel_headline(intel, now),
      intel.remedy.empty() ? "name lists or feeds (intel:), or see why these fail" : intel.remedy);
  if (any && !intel.problem.empty()) {
    add("latest lists in force", false, shown(intel.problem), shown(intel.remedy));
  }
  if (auto barren = barren_sources(intel); !barren.empty()) {
    checks.push_back({"sources", Level::Note, std::move(barren),
                      "`outguard intel check` on them says why; the others are in force"});
  }
  for (const auto &loss : intel.short_of) {
    add("sources as whole as in the last run", false, shown(loss),
        fmt::format("repair the source; or, if this is right, `kill -HUP {}` accepts it",
                    status.pid));
  }
  if (!intel.changes.problem.empty()) {
    add("single adds and removes", false, shown(intel.changes.problem),
        "correct the files in " + shown(intel.changes.folder));
  }
  for (const auto &feed : intel.feeds) {
    add("feed " + shown(feed.name), !is_failing(feed), feed_state(feed, now), shown(feed.remedy));
  }
  for (const auto &guard : status.guards) {
    const bool ready = guard.sensor && guard.state == "ready";
    const auto lines = guard_lines(status, guard, now);
    checks.push_back({"guard of " + shown(guard.vm), ready ? Level::Ok : Level::Problem,
                      lines[0].second + "; sensor has " + lines[1].second,
                      ready ? "" : "`outguard vm show` says what is seen of it, and why not more"});
    const auto blocking = enforcement_checks(guard);
    checks.insert(checks.end(), blocking.begin(), blocking.end());
  }
  if (!status.policies.problem.empty()) {
    add("policies as the files have them", false, shown(status.policies.problem),
        "correct the file (`outguard policy check`); until then the one before it is in force");
  }
  if (!status.actions.problem.empty()) {
    add("actions by hand", false, shown(status.actions.problem),
        "put right what is in " + shown(status.actions.folder) + ", then restart the supervisor");
  }
  return checks;
}

} // namespace outguard::cli
