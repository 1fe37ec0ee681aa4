#include "daemon/intel_delta.h"

#include <filesystem>

#include <fmt/format.h>

#include "base/log.h"
#include "launch/single_changes.h"

namespace outguard::daemon {

namespace {

constexpr std::size_t kMostRejectsTold = 4; ///< lines, a file

void tell_rejects(const FeedReport &feed) {
  for (std::size_t i = 0; i < feed.lines.size() && i < kMostRejectsTold; ++i) {
    const auto &line = feed.lines[i];
    log::warning(
        fmt::format("{}:{}: {}: {}", feed.name, line.line, line.reason, line.text.printable()));
  }
  if (feed.rejected > kMostRejectsTold) {
    log::warning(fmt::format("{}: {} lines rejected in all", feed.name, feed.rejected));
  }
}

tl::unexpected<std::string> refuse(std::string why) {
  log::error(why);
  return tl::unexpected(std::move(why));
}

} // namespace

IntelDelta::IntelDelta(std::string folder, std::stop_token ending)
    : ending_(std::move(ending)), folder_(std::move(folder)),
      files_(launch::change_files(folder_)) {
  std::error_code problem;
  std::filesystem::create_directories(folder_, problem);
  if (problem) {
    log::warning(fmt::format("{}: {}; single adds and removes are not possible", folder_,
                             problem.message()));
  }
}

tl::expected<IntelDelta::Compiled, std::string> IntelDelta::compile() const {
  const auto choices = launch::change_choices(folder_);
  Compiled changes;
  if (choices.empty()) {
    return changes;
  }
  auto compiled = launch::compile_delta(choices, ending_);
  if (ending_.stop_requested()) {
    return tl::unexpected(std::string("the daemon is ending"));
  }
  if (!compiled) {
    return refuse(folder_ + ": not compiled, what was in force stays (kill -HUP tries again): " +
                  compiled.error().message);
  }
  for (const auto &feed : compiled->feeds) {
    tell_rejects(feed);
    if (!feed.problem.empty() && !launch::says_nothing(feed)) {
      return refuse(feed.name + ": " + feed.problem + "; what was in force stays");
    }
    (feed.name == files_[0] ? changes.added : changes.removed) += feed.accepted;
  }
  if (changes.added + changes.removed == 0) {
    return changes;
  }
  if (!compiled->good()) {
    return refuse(folder_ + ": " + compiled->totals.problem + "; what was in force stays");
  }
  changes.delta = std::make_shared<const Fd>(std::move(compiled->image));
  return changes;
}

} // namespace outguard::daemon
