// intel stats: what lists, or an image of them, come to.
#include <fmt/format.h>

#include "cli/intel_feeds.h"
#include "cli/problems.h"
#include "launch/attach.h"
#include "store/intel_json.h"

namespace outguard::cli {

namespace {

constexpr int kBarLetters = 30;

std::string percent(std::uint64_t part, std::uint64_t whole) {
  return fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) /
                                     static_cast<double>(std::max<std::uint64_t>(whole, 1)));
}

void print_spread(const IntelStats &stats) {
  const auto most = *std::max_element(stats.confidence.begin(), stats.confidence.end());
  for (std::size_t step = 0; step < stats.confidence.size(); ++step) {
    const auto count = stats.confidence[step];
    if (count != 0) {
      const auto letters = 1 + count * (kBarLetters - 1) / most;
      const auto last = step + 1 == stats.confidence.size() ? 100 : step * 10 + 9;
      print_line(fmt::format("  {:>2} to {:<3} {:>10}  {}", step * 10, last, count,
                             std::string(letters, '#')));
    }
  }
}

void print_stats(const IntelStats &stats) {
  print_line(fmt::format("{} indicators, listed {} times; {} bytes, {:.1f} each", stats.indicators,
                         stats.mentions, stats.image_bytes,
                         static_cast<double>(stats.image_bytes) /
                             static_cast<double>(std::max<std::uint64_t>(stats.indicators, 1))));
  print_line(fmt::format(
      "expired {}, not valid yet {}, with an end {}, flagged by a warninglist {}, "
      "allowlist entries {}",
      stats.expired, stats.not_yet_valid, stats.with_end, stats.flagged, stats.allowed));
  print_line("");
  Table types({"TYPE", "INDICATORS", "SHARE"});
  for (const auto &type : stats.types) {
    types.add(
        {to_string(type.type), std::to_string(type.count), percent(type.count, stats.indicators)});
  }
  types.print();
  print_line("\nCONFIDENCE");
  print_spread(stats);
  print_line("");
  Table sources({"SOURCE", "LISTED", "NOWHERE ELSE", "EXPIRED"});
  for (const auto &source : stats.sources) {
    sources.add({source.source.printable(), std::to_string(source.listed),
                 percent(source.alone, source.listed), std::to_string(source.expired)});
  }
  sources.print();
  if (stats.sources_left_out != 0) {
    print_line(fmt::format("... and {} shorter ones", stats.sources_left_out));
  }
}

} // namespace

Exit intel_stats(const Common &common, const IntelOptions &options) {
  auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
  if (!sensor) {
    return report(sensor.error());
  }
  if (const auto loaded = load_intel(*sensor, options); !loaded) {
    return report(loaded.error());
  }
  const auto changes = compile_changes(options); // how many they are
  if (!changes) {
    return report(changes.error());
  }
  if (changes->delta) {
    if (const auto used = launch::use_delta(*sensor, changes->delta); !used) {
      return report(used.error());
    }
  }
  const auto answer = sensor->call(DescribeIntel{}, {}, std::chrono::minutes(1));
  if (!answer) {
    return report(answer.error());
  }
  const auto *stats = std::get_if<IntelStats>(&*answer);
  if (stats == nullptr || stats->confidence.size() != IntelStats::kConfidenceSteps) {
    complain("the sensor did not describe its intelligence");
    return Exit::Failed;
  }
  if (common.format == Format::Json) {
    print_line(store::stats_json(*stats, changes->added, changes->removed));
  } else {
    print_stats(*stats);
    if (changes->delta) {
      print_line(fmt::format("\nof these by hand: {} added; and {} removed", changes->added,
                             changes->removed));
    }
  }
  return Exit::Ok;
}

} // namespace outguard::cli
