// intel check, compile, lookup: feeds, and what they list.
#include <algorithm>
#include <span>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "cli/intel_feeds.h"
#include "cli/problems.h"
#include "store/intel_json.h"

namespace outguard::cli {

namespace {

/// Of a file that is no feed at all, a licence say, so many lines are enough to see it.
constexpr std::size_t kMostOfNoFeed = 3;

/// A list of harmless things with nothing wrong: over a hundred of them would hide the feeds.
bool is_sound_warninglist(const FeedReport &feed) {
  return feed.format.starts_with("misp-warninglist") && feed.problem.empty() && feed.rejected == 0;
}

void print_warninglists(const launch::CompiledIntel &compiled) {
  std::uint64_t lists = 0, entries = 0;
  for (const auto &feed : compiled.feeds) {
    lists += is_sound_warninglist(feed) ? 1U : 0U;
    entries += is_sound_warninglist(feed) ? feed.accepted : 0U;
  }
  if (lists != 0) {
    print_line(fmt::format("{} warninglists with nothing wrong: {} entries", lists, entries));
  }
}

void print_feed(const FeedReport &feed) {
  const auto name = GuestText(feed.name).printable();
  print_line(fmt::format("{} ({}): {} accepted, {} rejected, {} ignored, {} comments and "
                         "blanks{}{}",
                         name, feed.format.empty() ? "unknown format" : feed.format, feed.accepted,
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
  const auto shown =
      std::min(feed.lines.size(), feed.problem.empty() ? feed.lines.size() : kMostOfNoFeed);
  for (const auto &line : std::span(feed.lines).first(shown)) {
    print_line(fmt::format("  {}:{}: {}: {}", name, line.line, line.reason, line.text.printable()));
  }
  if (feed.rejected > shown) {
    print_line(fmt::format("  ... and {} more rejected lines", feed.rejected - shown));
  }
}

/// True: nothing of any feed was refused as a whole.
bool print_feeds(const Common &common, const launch::CompiledIntel &compiled) {
  complain_of_left_out(compiled);
  bool good = compiled.good();
  if (common.format == Format::Table) {
    print_warninglists(compiled);
  }
  for (const auto &feed : compiled.feeds) {
    good = good && feed.problem.empty();
    if (common.format == Format::Json) {
      print_line(store::feed_json(feed));
      continue;
    }
    if (!is_sound_warninglist(feed)) {
      print_feed(feed);
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
    complain(GuestText(value).printable() + ": no indicator matches" +
             (value.find("://") == value.npos ? "" : "; its host is looked up by itself"));
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

} // namespace outguard::cli
