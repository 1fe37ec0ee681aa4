#include "sensor/intel_service.h"

#include <cerrno>
#include <chrono>

#include <unistd.h>

#include "base/clock.h"
#include "facts/messages.h"
#include "intel/feeds/feed_reader.h"
#include "intel/guards/allowlist_parser.h"
#include "intel/guards/indicator_guards.h"
#include "intel/intel_compiler.h"

namespace outguard::sensor {

namespace {

constexpr std::chrono::milliseconds kSendWait{5000};
constexpr std::chrono::hours kIdle{1}; ///< one receive; the other side closes when it is done
/// A feed of 10M lines is below 1 GiB; what is longer is no feed.
constexpr std::size_t kMaxFeedBytes = std::size_t{1} << 30;
constexpr std::size_t kReadStep = std::size_t{1} << 20;

/// nullopt with errno set; EFBIG beyond the cap.
std::optional<std::vector<std::uint8_t>> read_whole(int fd) {
  std::vector<std::uint8_t> bytes;
  while (bytes.size() <= kMaxFeedBytes) {
    const auto had = bytes.size();
    bytes.resize(had + kReadStep);
    const ssize_t count = ::read(fd, bytes.data() + had, kReadStep);
    if (count < 0 && errno != EINTR) {
      return std::nullopt;
    }
    bytes.resize(had + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) {
      return bytes;
    }
  }
  errno = EFBIG;
  return std::nullopt;
}

bool write_whole(int fd, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) {
      return false;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }
  return true;
}

/// Reports carry plain strings only if they can be printed as they are.
std::string printable(const std::string &path) {
  return GuestText(path).printable();
}

std::size_t detail_bytes(const FeedReport &report) {
  constexpr std::size_t kEach = 16; // lengths and counts
  std::size_t bytes = 0;
  for (const auto &line : report.lines) {
    bytes += kEach + line.reason.size() + line.text.raw().size();
  }
  for (const auto *counts : {&report.reasons, &report.ignored_kinds}) {
    for (const auto &count : *counts) {
      bytes += kEach + count.reason.size();
    }
  }
  return bytes;
}

/// One message tells of all feeds of an archive: the first have room for their details, all for
/// their totals.
void fit(FeedReports &reports) {
  constexpr std::size_t kMaxNameBytes = 300;
  std::size_t left = std::size_t{64} << 10;
  for (auto &report : reports.feeds) {
    report.name = printable(report.name);
    if (report.name.size() > kMaxNameBytes && reports.feeds.size() > 1) {
      report.name = "..." + report.name.substr(report.name.size() - kMaxNameBytes);
    }
    const auto bytes = detail_bytes(report);
    if (bytes > left) {
      report.lines.clear();
      report.reasons.clear();
      report.ignored_kinds.clear();
    } else {
      left -= bytes;
    }
  }
}

intel::Role role_of(FeedRole role) {
  switch (role) {
  case FeedRole::Allowlist:
    return intel::Role::Allowed;
  case FeedRole::Removals:
    return intel::Role::Removed;
  case FeedRole::Indicators:
  case FeedRole::WarningList:
    break;
  }
  return intel::Role::Indicator;
}

class IntelService {
public:
  [[nodiscard]] Report answer(const AddFeed &request, const std::vector<Fd> &fds) {
    if (fds.size() != 1) {
      return Failed{"AddFeed needs one descriptor"};
    }
    const auto bytes = read_whole(fds[0].get());
    if (!bytes) {
      return refused(request, errno == EFBIG ? "larger than 1 GiB" : "could not be read");
    }
    if (request.role == FeedRole::WarningList) {
      const std::string_view text(reinterpret_cast<const char *>(bytes->data()), bytes->size());
      return single(guards_.add_warning_list(request.name, text));
    }
    if (request.role == FeedRole::Allowlist) {
      return add_allowlist(request, *bytes);
    }
    intel::FeedOptions options;
    options.format = intel::format_named(request.format);
    if (!options.format && !request.format.empty()) {
      return refused(request, "unknown format was named");
    }
    options.reserved =
        request.allow_reserved ? intel::ReservedPolicy::Allow : intel::ReservedPolicy::Refuse;
    FeedReports reports;
    reports.feeds = intel::read_feed(request.name, *bytes, options, [&](const std::string &name) {
      return compiler_.add_source(name, role_of(request.role));
    });
    fit(reports);
    return reports;
  }

  [[nodiscard]] Report answer(const CompileIntel &request, const std::vector<Fd> &fds) {
    if (fds.size() != 1) {
      return Failed{"CompileIntel needs one descriptor"};
    }
    using Kind = intel::IntelCompiler::ImageKind;
    auto compiled = compiler_.compile(request.is_delta ? Kind::Delta : Kind::Whole);
    if (compiled.report.problem.empty() && !write_whole(fds[0].get(), compiled.image)) {
      compiled.report.problem = "the image could not be written";
    }
    return compiled.report;
  }

  template <class Other> [[nodiscard]] Report answer(const Other &, const std::vector<Fd> &) {
    return Failed{"this process compiles intelligence and does nothing else"};
  }

private:
  static FeedReports single(FeedReport report) {
    FeedReports reports{{std::move(report)}};
    fit(reports);
    return reports;
  }

  static FeedReports refused(const AddFeed &request, std::string problem) {
    FeedReport report;
    report.name = request.name;
    report.problem = std::move(problem);
    return single(std::move(report));
  }

  FeedReports add_allowlist(const AddFeed &request, std::span<const std::uint8_t> bytes) {
    const auto sink = compiler_.add_source(request.name, intel::Role::Allowed);
    if (!sink) {
      return refused(request, "too many feeds");
    }
    const auto now = std::chrono::floor<std::chrono::seconds>(wall_now()).time_since_epoch();
    return single(intel::parse_allowlist(request.name, bytes, now.count(), *sink));
  }

  intel::IndicatorGuards guards_;
  intel::IntelCompiler compiler_{intel::random_seed(), &guards_};
};

} // namespace

void run_intel_service(MessageSocket control) {
  IntelService service;
  while (true) {
    const auto message = control.receive(kIdle);
    if (!message || !*message) {
      return;
    }
    const auto request = decode_request((*message)->bytes);
    if (!request) {
      return; // our own side speaks another version
    }
    const auto &fds = (*message)->fds;
    const Report report =
        std::visit([&](const auto &body) { return service.answer(body, fds); }, request->body);
    if (!control.send(encode(ReportEnvelope{request->id, report}), {}, kSendWait)) {
      return;
    }
  }
}

} // namespace outguard::sensor
