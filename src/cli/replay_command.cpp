// replay: a capture run through the very pipeline that guards a VM.
#include <algorithm>
#include <future>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "cli/intel_feeds.h"
#include "cli/problems.h"
#include "cli/replay_progress.h"
#include "cli/target.h"
#include "detect/detector.h"
#include "store/eve_flow.h"
#include "store/eve_writer.h"
#include "store/json_lines.h"
#include "store/replay_json.h"
#include "store/terminal_line.h"

namespace outguard::cli {

namespace {

constexpr std::chrono::hours kReplayWait{24};
/// Several events at once: to be woken for each costs more than to write it.
constexpr std::chrono::milliseconds kBetweenLooks{20};

/// Where what is found goes: EVE to stdout or lines for people, and EVE to a file.
class ReplayOutput {
public:
  ReplayOutput(const Common &common, std::string capture, std::uint64_t total)
      : common_(common), progress_(total) {
    capture_.name = GuestText(std::move(capture));
  }

  [[nodiscard]] Result<void> open_eve(const std::string &path) {
    auto writer = store::EveWriter::open(path);
    if (!writer) {
      return tl::unexpected(writer.error());
    }
    eve_ = std::move(*writer);
    return {};
  }

  void take(Report event) {
    if (auto *match = std::get_if<MatchSeen>(&event)) {
      if (const auto finding = detector_.judge(std::move(*match), capture_)) {
        tell(*finding);
      }
    } else if (const auto *ended = std::get_if<MatchedFlowEnded>(&event); ended && wants_eve()) {
      eve(store::eve_flow(*ended, capture_));
    } else if (const auto *progress = std::get_if<ReplayProgress>(&event)) {
      progress_.show(*progress);
    }
  }

  void end(const ReplayDone &done) {
    progress_.clear();
    if (wants_eve()) {
      eve(store::eve_stats(done, capture_.name));
    }
  }
  [[nodiscard]] bool lost_lines() const { return eve_ != nullptr && eve_->counts().lost != 0; }

private:
  void tell(const Finding &finding) {
    if (wants_eve()) {
      eve(store::eve_alert(finding, {}));
    }
    if (common_.format == Format::Table) {
      progress_.clear();
      print_line(store::alert_line(finding, {}, store::Colour::Off));
    }
  }
  [[nodiscard]] bool wants_eve() const { return common_.format == Format::Json || eve_ != nullptr; }
  void eve(const std::string &line) {
    if (common_.format == Format::Json) {
      progress_.clear();
      print_line(line);
    }
    if (eve_ != nullptr) {
      if (const auto written = eve_->write(line); !written && !complained_) {
        complain(written.error().message);
        complained_ = true;
      }
    }
  }

  const Common &common_;
  VmIdentity capture_;                          ///< in a VM's place
  detect::Detector detector_{detect::Policy()}; ///< as a guard that only watches
  ReplayProgressLine progress_;
  std::unique_ptr<store::EveWriter> eve_;
  bool complained_ = false;
};

std::string listed(const std::vector<NamedCount> &counts) {
  std::string text;
  for (const auto &count : counts) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count.name, count.value);
  }
  return text.empty() ? "none" : text;
}

std::uint64_t count_of(const CountersSeen &counters, std::string_view name) {
  const auto found = std::find_if(counters.other.begin(), counters.other.end(),
                                  [&](const NamedCount &count) { return count.name == name; });
  return found == counters.other.end() ? 0 : found->value;
}

void print_summary(const ReplayDone &done) {
  const auto &counters = done.counters;
  const double seconds = static_cast<double>(done.elapsed_ns) / 1e9;
  complain(fmt::format("packets seen {}, processed {}; dropped: {}", counters.seen,
                       counters.processed, listed(counters.dropped)));
  const auto row = [](const char *name, const std::string &text) {
    fmt::print(stderr, "  {:<13} {}\n", name, text);
  };
  const auto of = [&](const char *name) { return count_of(counters, name); };
  row("flows", fmt::format("{}, of them {} with an owner", of("flows"), of("flows_attributed")));
  row("observables", std::to_string(of("observables")));
  row("alerts",
      fmt::format("{}, and {} repeats of them; {} allowed; {} knocks; {} beacons", of("matches"),
                  of("matches_repeated"), of("matches_allowed"), of("knocks"), of("beacons")));
  row("took", fmt::format("{:.3f} s, {:.2f} M packets/s", seconds,
                          seconds > 0 ? static_cast<double>(counters.seen) / seconds / 1e6 : 0));
  for (const auto &stage : done.stages) {
    row(stage.stage.c_str(),
        fmt::format("{:>8.1f} ms {:>4.0f} %", static_cast<double>(stage.ns) / 1e6,
                    100 * static_cast<double>(stage.ns) /
                        static_cast<double>(std::max<std::uint64_t>(done.elapsed_ns, 1))));
  }
  std::vector<NamedCount> rest;
  std::copy_if(counters.other.begin(), counters.other.end(), std::back_inserter(rest),
               [](const NamedCount &count) { return count.value != 0; });
  row("counters", listed(rest));
}

Exit end_replay(const Common &common, const std::string &capture, ReplayOutput &output,
                const Result<Report> &answer) {
  if (!answer) {
    return report(answer.error());
  }
  const auto *end = std::get_if<ReplayDone>(&*answer);
  if (end == nullptr) {
    complain("the sensor did not answer with its counters");
    return Exit::Failed;
  }
  output.end(*end);
  const bool any = end->counters.seen != 0;
  if (common.format == Format::Table && (any || end->problem.empty())) {
    print_summary(*end);
  }
  if (!end->problem.empty()) {
    complain(capture + ": " + end->problem + (any ? "; what came before was processed" : ""));
    return Exit::Failed;
  }
  const bool lost = count_of(end->counters, "reports_lost") != 0 || output.lost_lines();
  return lost ? Exit::Partial : Exit::Ok;
}

std::uint64_t size_of(const Fd &file) {
  struct stat status {};
  return ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode)
             ? static_cast<std::uint64_t>(status.st_size)
             : 0;
}

} // namespace

Exit replay(const Common &common, const ReplayOptions &options) {
  const Fd file(::open(options.capture.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return report(fail_errno(options.capture).value());
  }
  ReplayOutput output(common, options.capture, size_of(file));
  if (!options.eve_file.empty()) {
    if (const auto opened = output.open_eve(options.eve_file); !opened) {
      return report(opened.error());
    }
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
  const auto take_waiting = [&] {
    for (auto event = sensor->next_event({}); event && *event; event = sensor->next_event({})) {
      output.take(std::move(**event));
    }
  };
  while (done.wait_for(kBetweenLooks) != std::future_status::ready) {
    take_waiting();
  }
  take_waiting();
  return end_replay(common, options.capture, output, done.get());
}

} // namespace outguard::cli
