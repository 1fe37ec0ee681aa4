// intel check, compile, lookup; replay: feeds, and a capture run through the pipeline.
#include <algorithm>
#include <future>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/problems.h"
#include "cli/target.h"
#include "facts/finding.h"
#include "launch/intel_compiler_process.h"
#include "store/eve_flow.h"
#include "store/intel_json.h"
#include "store/json_lines.h"
#include "store/terminal_line.h"

namespace outguard::cli {

namespace {

constexpr std::chrono::hours kReplayWait{24};

Result<launch::CompiledIntel> compile(const IntelOptions &options) {
  std::vector<launch::FeedChoice> choices;
  for (const auto &path : options.paths) {
    choices.push_back({path, options.allow_reserved, options.format});
  }
  for (const auto &path : options.warninglists) {
    choices.push_back({path, false, "", FeedRole::WarningList});
  }
  for (const auto &path : options.allowlists) {
    choices.push_back({path, false, "", FeedRole::Allowlist});
  }
  return launch::compile_intel(choices);
}

/// True: nothing of any feed was refused as a whole.
bool print_feeds(const Common &common, const launch::CompiledIntel &compiled) {
  bool good = compiled.good();
  for (const auto &feed : compiled.feeds) {
    good = good && feed.problem.empty();
    if (common.format == Format::Json) {
      print_line(store::feed_json(feed));
      continue;
    }
    print_line(fmt::format("{} ({}): {} accepted, {} rejected, {} ignored, {} comments and "
                           "blanks{}{}",
                           GuestText(feed.name).printable(),
                           feed.format.empty() ? "unknown format" : feed.format, feed.accepted,
                           feed.rejected, feed.ignored, feed.comments,
                           feed.problem.empty() ? "" : "; refused: " + feed.problem,
                           feed.note.empty() ? "" : "; " + feed.note));
    for (const auto &reason : feed.reasons) {
      print_line(fmt::format("  {:>8}  {}", reason.count, reason.reason));
    }
    if (feed.flagged != 0) {
      print_line(fmt::format("  {:>8}  kept, but flagged by a warninglist", feed.flagged));
    }
    for (const auto &kind : feed.ignored_kinds) {
      print_line(fmt::format("  {:>8}  ignored: {}", kind.count, kind.reason));
    }
    for (const auto &line : feed.lines) {
      print_line(fmt::format("  {}:{}: {}: {}", GuestText(feed.name).printable(), line.line,
                             line.reason, line.text.printable()));
    }
    if (feed.rejected > feed.lines.size()) {
      print_line(
          fmt::format("  ... and {} more rejected lines", feed.rejected - feed.lines.size()));
    }
  }
  return good;
}

Exit end_with(const Common &common, const launch::CompiledIntel &compiled, bool good) {
  if (common.format == Format::Json) {
    print_line(store::intel_json(compiled.totals));
  } else if (compiled.good()) {
    print_line(fmt::format("{} indicators, image {} bytes, built in {:.1f} ms",
                           compiled.totals.indicators, compiled.totals.image_bytes,
                           static_cast<double>(compiled.totals.build_ns) / 1e6));
  } else {
    complain(compiled.totals.problem);
  }
  return good ? Exit::Ok : Exit::Failed;
}

Result<void> save(const Fd &image, std::uint64_t bytes, const std::string &path) {
  const auto temporary = path + ".new";
  const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) {
    return fail_errno(temporary);
  }
  off_t offset = 0;
  while (static_cast<std::uint64_t>(offset) < bytes) {
    if (::sendfile(file.get(), image.get(), &offset, bytes - static_cast<std::uint64_t>(offset)) <=
        0) {
      return fail_errno(temporary);
    }
  }
  if (::fsync(file.get()) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    return fail_errno(path);
  }
  return {};
}

/// Compiles the feeds and gives them to a sensor; complains about bad feeds on the way.
Result<void> load_intel(launch::SensorProcess &sensor, const IntelOptions &options) {
  auto compiled = compile(options);
  if (!compiled) {
    return tl::unexpected(compiled.error());
  }
  for (const auto &feed : compiled->feeds) {
    if (!feed.problem.empty()) {
      complain(GuestText(feed.name).printable() + ": " + feed.problem);
    } else if (feed.rejected != 0) {
      complain(fmt::format("{}: {} lines rejected (see intel check)",
                           GuestText(feed.name).printable(), feed.rejected));
    }
  }
  if (!compiled->good()) {
    return fail(ErrorCode::InvalidInput, compiled->totals.problem);
  }
  return launch::use_intel(sensor, compiled->image);
}

Finding offline_finding(MatchSeen match, const std::string &capture) {
  Finding finding;
  finding.vm.name = GuestText(capture);
  finding.match = std::move(match);
  finding.signature = "indicator matched";
  finding.category = "threat-intelligence";
  return finding;
}

void print_match(const Common &common, const Finding &finding) {
  if (common.format == Format::Json) {
    print_line(store::eve_alert(finding, {}));
  } else {
    print_line(store::alert_line(finding, {}, store::Colour::Off));
  }
}

void print_counts(const CountersSeen &counters) {
  const auto list = [](const std::vector<NamedCount> &counts) {
    std::string text;
    for (const auto &count : counts) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count.name, count.value);
    }
    return text.empty() ? std::string("none") : text;
  };
  complain(fmt::format("packets seen {}, processed {}; dropped: {}; {}", counters.seen,
                       counters.processed, list(counters.dropped), list(counters.other)));
}

Exit end_replay(const std::string &capture, const Result<Report> &answer) {
  if (!answer) {
    return report(answer.error());
  }
  const auto *end = std::get_if<ReplayDone>(&*answer);
  if (end == nullptr) {
    complain("the sensor did not answer with its counters");
    return Exit::Failed;
  }
  print_counts(end->counters);
  const auto &other = end->counters.other;
  const bool lost = std::any_of(other.begin(), other.end(), [](const NamedCount &count) {
    return count.name == "reports_lost" && count.value != 0;
  });
  if (!end->problem.empty()) {
    complain(capture + ": " + end->problem + "; what came before was processed");
    return Exit::Failed;
  }
  return lost ? Exit::Partial : Exit::Ok;
}

} // namespace

Exit intel_check(const Common &common, const IntelOptions &options) {
  const auto compiled = compile(options);
  if (!compiled) {
    return report(compiled.error());
  }
  return end_with(common, *compiled, print_feeds(common, *compiled));
}

Exit intel_compile(const Common &common, const IntelOptions &options, const std::string &output) {
  const auto compiled = compile(options);
  if (!compiled) {
    return report(compiled.error());
  }
  const bool good = print_feeds(common, *compiled);
  if (compiled->good()) {
    if (const auto saved = save(compiled->image, compiled->totals.image_bytes, output); !saved) {
      return report(saved.error());
    }
  }
  return end_with(common, *compiled, good);
}

Exit intel_lookup(const Common &common, const IntelOptions &options, const std::string &value) {
  auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
  if (!sensor) {
    return report(sensor.error());
  }
  if (const auto loaded = load_intel(*sensor, options); !loaded) {
    return report(loaded.error());
  }
  const auto answer = sensor->call(LookUp{value}, {}, std::chrono::seconds(10));
  if (!answer) {
    return report(answer.error());
  }
  const auto *found = std::get_if<LookedUp>(&*answer);
  if (found == nullptr || found->hits.empty()) {
    complain(GuestText(value).printable() + ": no indicator matches");
    return Exit::NotFound;
  }
  for (const auto &hit : found->hits) {
    if (common.format == Format::Json) {
      print_line(store::hit_json(hit));
    } else {
      print_line(fmt::format("{} {} confidence {} from {}:{}", to_string(hit.type),
                             hit.value.printable(), hit.confidence, hit.source.printable(),
                             hit.source_line));
    }
  }
  return Exit::Ok;
}

Exit replay(const Common &common, const ReplayOptions &options) {
  const Fd file(::open(options.capture.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return report(fail_errno(options.capture).value());
  }
  auto sensor =
      options.memory.empty()
          ? launch::SensorProcess::start(launch::SensorRole::Guard)
          : open_target(options.memory, common.patience, launch::SymbolFiles(common.symbols))
                .map([](OpenedTarget opened) { return std::move(opened.sensor); });
  if (!sensor) {
    return report(sensor.error());
  }
  if (const auto loaded = load_intel(*sensor, options.intel); !loaded) {
    return report(loaded.error());
  }
  const int raw = file.get();
  auto done = std::async(std::launch::async, [&] {
    return sensor->call(ReplayCapture{options.capture}, {&raw, 1}, kReplayWait);
  });
  // Matches print as they are found; the answer comes after the last of them.
  const auto print_waiting = [&](std::chrono::milliseconds wait) {
    auto event = sensor->next_event(wait);
    if (!event || !*event) {
      return false;
    }
    if (auto *match = std::get_if<MatchSeen>(&**event)) {
      print_match(common, offline_finding(std::move(*match), options.capture));
    } else if (const auto *ended = std::get_if<MatchedFlowEnded>(&**event);
               ended != nullptr && common.format == Format::Json) {
      VmIdentity capture;
      capture.name = GuestText(options.capture);
      print_line(store::eve_flow(*ended, capture));
    }
    return true;
  };
  while (done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    static_cast<void>(print_waiting(std::chrono::milliseconds(20)));
  }
  while (print_waiting(std::chrono::milliseconds(0))) {
  }
  return end_replay(options.capture, done.get());
}

} // namespace outguard::cli
