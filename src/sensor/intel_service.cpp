#include "sensor/intel_service.h"

#include <cerrno>
#include <chrono>

#include <unistd.h>

#include "base/clock.h"
#include "facts/messages.h"
#include "intel/feeds/feed_reader.h"
#include "intel/guards/allowlist_parser.h"
#include "intel/guards/indicator_guards.h"
#include "intel/indicator_value.h"
#include "intel/intel_compiler.h"
#include "intel/intel_image.h"
#include "intel/page_vector.h"

namespace outguard::sensor {

namespace {

constexpr std::chrono::milliseconds kSendWait{5000};
constexpr std::chrono::hours kIdle{1}; ///< one receive; the other side closes when it is done
/// A feed of 10M lines is below 1 GiB; what is longer is no feed.
constexpr std::size_t kMaxFeedBytes = std::size_t{1} << 30;
constexpr std::size_t kReadStep = std::size_t{1} << 20;

/// nullopt with errno set; EFBIG beyond the cap.
std::optional<intel::PageVector<std::uint8_t>> read_whole(int fd) {
  intel::PageVector<std::uint8_t> bytes;
  while (bytes.size() <= kMaxFeedBytes) {
    const ssize_t count = ::read(fd, bytes.room(kReadStep).data(), kReadStep);
    if (count < 0 && errno != EINTR) {
      return std::nullopt;
    }
    if (count == 0) {
      return bytes;
    }
    bytes.add_written(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
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
    auto bytes = read_whole(fds[0].get());
    if (!bytes) {
      return refused(request, errno == EFBIG ? "larger than 1 GiB" : "could not be read");
    }
    if (is_image(*bytes)) {
      return single(take_image(request, std::move(*bytes)));
    }
    any_feed_ = true;
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
    const bool is_given = !image_.empty() || image_refused_;
    auto [report, image] = is_given ? Compiled{judge_given(request), {}} : compile(request);
    const auto bytes = is_given ? std::span<const std::uint8_t>(image_) : image;
    if (report.problem.empty() && !write_whole(fds[0].get(), bytes)) {
      report.problem = "the image could not be written";
    }
    return report;
  }

  [[nodiscard]] Report answer(const JudgeValue &request, const std::vector<Fd> &) {
    const auto policy =
        request.allow_reserved ? intel::ReservedPolicy::Allow : intel::ReservedPolicy::Refuse;
    ValueJudged judged;
    const auto refuse = [&](intel::RejectReason reason, std::string_view guard) {
      judged.refusal = to_string(reason);
      judged.refusal += guard.empty() ? "" : ": " + printable(std::string(guard));
      judged.by_guard = is_guard(reason);
    };
    // Parsed as if reserved ranges were allowed, so that the canonical form is known of those too.
    const auto sound = intel::parse_indicator(request.value, intel::ReservedPolicy::Allow);
    if (sound) {
      judged.type = sound->key.type;
      auto canonical =
          intel::key_text(sound->key.type, sound->key.prefix, sound->key.bytes).value_or("");
      canonical += sound->scope == intel::MatchScope::Prefix ? "*" : "";
      judged.canonical = GuestText(std::move(canonical));
    }
    const auto indicator = intel::parse_indicator(request.value, policy);
    if (!indicator) {
      refuse(indicator.error(), {});
      return judged;
    }
    const auto verdict = guards_.judge(*indicator);
    if (verdict.refusal) {
      refuse(*verdict.refusal, verdict.guard);
    }
    for (const auto flag : verdict.flags) {
      judged.flags.emplace_back(std::string(flag));
    }
    return judged;
  }

  template <class Other> [[nodiscard]] Report answer(const Other &, const std::vector<Fd> &) {
    return Failed{"this process compiles intelligence and does nothing else"};
  }

private:
  using Compiled = intel::IntelCompiler::Compiled;

  static bool is_image(std::span<const std::uint8_t> bytes) {
    return bytes.size() >= intel::kImageMagic.size() &&
           std::equal(intel::kImageMagic.begin(), intel::kImageMagic.end(), bytes.begin());
  }

  /// One that was compiled before: it stands for all feeds, as it holds them already. Read whole
  /// here, against its checksum, so that a damaged one is refused before anybody uses it.
  FeedReport take_image(const AddFeed &request, intel::PageVector<std::uint8_t> bytes) {
    FeedReport report;
    report.name = request.name;
    report.format = "compiled image";
    const auto image = intel::IntelImage::open(bytes);
    const auto sound = image ? image->verify() : tl::unexpected(image.error());
    if (request.role != FeedRole::Indicators) {
      report.problem = "a compiled image; it can only be the indicators";
    } else if (!sound) {
      report.problem = sound.error().message;
    } else if (!image_.empty()) {
      report.problem = "a second compiled image; one is used, alone";
    } else {
      report.accepted = image->indicator_count();
      image_ = std::move(bytes);
    }
    image_refused_ = image_refused_ || !report.problem.empty();
    return report;
  }

  Compiled compile(const CompileIntel &request) {
    using Kind = intel::IntelCompiler::ImageKind;
    return compiler_.compile(request.is_delta ? Kind::Delta : Kind::Whole);
  }

  [[nodiscard]] IntelReport judge_given(const CompileIntel &request) const {
    IntelReport report;
    if (image_refused_) {
      report.problem = "a compiled image was refused";
    } else if (any_feed_ || request.is_delta) {
      report.problem = "a compiled image is given alone: it holds its lists, warninglists "
                       "and allowlists already";
    } else if (const auto image = intel::IntelImage::open(image_)) {
      report.indicators = image->indicator_count();
      report.image_bytes = image_.size();
    }
    return report;
  }

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

  intel::PageVector<std::uint8_t> image_; ///< given, not compiled
  bool image_refused_ = false;            ///< what is left must not pass for all that was asked for
  bool any_feed_ = false;
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
