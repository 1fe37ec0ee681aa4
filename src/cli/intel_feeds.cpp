#include "cli/intel_feeds.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "launch/attach.h"
#include "launch/single_changes.h"

namespace outguard::cli {

Result<launch::CompiledIntel> compile(const IntelOptions &options,
                                      const launch::ValuesToJudge &asked) {
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
  return launch::compile_intel(choices, asked);
}

void complain_of_left_out(const launch::CompiledIntel &compiled) {
  for (const auto &note : compiled.left_out) {
    complain(note);
  }
}

namespace {

/// Of a folder with hundreds of feeds a few are named: the answer itself must stay in sight.
void complain_about_feeds(const launch::CompiledIntel &compiled) {
  constexpr std::size_t kMostNamed = 8;
  std::vector<std::string> told;
  for (const auto &feed : compiled.feeds) {
    if (!feed.problem.empty()) {
      told.push_back(GuestText(feed.name).printable() + ": " + feed.problem);
    } else if (feed.rejected != 0) {
      told.push_back(fmt::format("{}: {} lines rejected (see intel check)",
                                 GuestText(feed.name).printable(), feed.rejected));
    }
  }
  const auto named = std::min(told.size(), kMostNamed);
  for (const auto &text : std::span(told).first(named)) {
    complain(text);
  }
  if (named < told.size()) {
    complain(fmt::format("... and {} more feeds with something wrong (see intel check)",
                         told.size() - named));
  }
}

} // namespace

Result<SingleChanges> compile_changes(const IntelOptions &options) {
  SingleChanges changes;
  const auto choices = options.changes.empty() ? std::vector<launch::FeedChoice>()
                                               : launch::change_choices(options.changes);
  if (choices.empty()) {
    return changes;
  }
  auto compiled = launch::compile_delta(choices);
  if (!compiled) {
    return tl::unexpected(compiled.error());
  }
  std::erase_if(compiled->feeds, launch::says_nothing);
  complain_about_feeds(*compiled);
  for (const auto &feed : compiled->feeds) {
    (feed.name == choices.front().path && choices.front().role == FeedRole::Indicators
         ? changes.added
         : changes.removed) += feed.accepted;
  }
  if (changes.added + changes.removed == 0) {
    return changes;
  }
  complain(
      fmt::format("by hand {} added and {} removed beside these: {} (--no-changes leaves them out)",
                  changes.added, changes.removed, GuestText(options.changes).printable()));
  changes.delta = std::move(compiled->image);
  return changes;
}

Result<void> give(launch::SensorProcess &sensor, const Fd &image, const SingleChanges &changes) {
  if (!image) { // removals alone remove nothing
    return changes.added == 0 ? Result<void>()
                              : launch::use_verified_intel(sensor, nullptr, &changes.delta);
  }
  return launch::use_intel(sensor, image).and_then([&] {
    return changes.delta ? launch::use_delta(sensor, changes.delta) : Result<void>();
  });
}

Result<void> load_intel(launch::SensorProcess &sensor, const IntelOptions &options) {
  auto compiled = compile(options);
  if (!compiled) {
    return tl::unexpected(compiled.error());
  }
  complain_of_left_out(*compiled);
  complain_about_feeds(*compiled);
  if (!compiled->good()) {
    return fail(ErrorCode::InvalidInput, compiled->totals.problem);
  }
  return launch::use_intel(sensor, compiled->image);
}

} // namespace outguard::cli
