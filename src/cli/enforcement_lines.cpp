#include "cli/enforcement_lines.h"

#include <fmt/format.h>

#include "facts/guest_text.h"

namespace outguard::cli {

namespace {

using store::CheckRow;
using Level = CheckRow::Level;

std::string shown(const std::string &text) {
  return GuestText(text).printable();
}

std::string dropped(const api::TapStatus &tap) {
  std::string text;
  for (const auto &count : tap.dropped) {
    if (count.value != 0) {
      text += (text.empty() ? "" : ", ") + shown(count.name) + " " + grouped(count.value);
    }
  }
  return text.empty() ? "none" : text;
}

/// "tc-bpf (tcx)".
std::string mechanism(const api::TapStatus &tap) {
  return shown(tap.mechanism) + " (" + shown(tap.hook) + ")";
}

std::string summary(const api::TapStatus &tap) {
  if (!tap.problem.empty()) {
    return "not looked at: " + shown(tap.problem);
  }
  if (tap.mechanism.empty()) {
    return "nothing can block here: " + shown(tap.why_not_better);
  }
  const auto rules = tap.rules.size() + tap.rules_left_out;
  return (tap.at_work ? fmt::format("{} at work: {} rule{}; packets dropped: {}", mechanism(tap),
                                    grouped(rules), rules == 1 ? "" : "s", dropped(tap))
                      : "nothing blocked; a rule would get " + mechanism(tap)) +
         (tap.why_not_better.empty() ? "" : "; " + shown(tap.why_not_better));
}

CheckRow check(const api::GuardStatus &guard, const api::TapStatus &tap) {
  const auto what = "blocking at tap " + shown(tap.tap) + " of " + shown(guard.vm);
  const auto row = [&](Level level, const char *remedy) {
    return CheckRow{what, level, summary(tap), remedy};
  };
  if (!tap.problem.empty()) {
    return row(Level::Problem, "see whether QEMU still has this tap, and restart the supervisor if "
                               "so: another version of ours may have left what it cannot read");
  }
  if (tap.mechanism.empty()) {
    return row(Level::Problem,
               "a bpffs at /sys/fs/bpf (`mount -t bpf bpf /sys/fs/bpf`), or "
               "`modprobe nf_tables`; until then alerts come and nothing is blocked");
  }
  return tap.why_not_better.empty()
             ? row(Level::Ok, "")
             : row(Level::Note, "blocks work, with the limits that docs/enforcement.md tells; for "
                                "tc-bpf mount a bpffs at /sys/fs/bpf before the supervisor starts");
}

} // namespace

NamedLines enforcement_lines(const api::GuardStatus &guard) {
  NamedLines lines;
  for (const auto &tap : guard.enforcement) {
    lines.emplace_back("blocking", shown(tap.tap) + ": " + summary(tap));
    for (const auto &[rule, left] : tap.rules) {
      lines.emplace_back("", fmt::format("{}, {} s left", shown(rule), left));
    }
    if (tap.rules_left_out != 0) {
      lines.emplace_back("", fmt::format("... and {} more", grouped(tap.rules_left_out)));
    }
  }
  return lines;
}

std::vector<CheckRow> enforcement_checks(const api::GuardStatus &guard) {
  std::vector<CheckRow> checks;
  for (const auto &tap : guard.enforcement) {
    checks.push_back(check(guard, tap));
  }
  return checks;
}

} // namespace outguard::cli
