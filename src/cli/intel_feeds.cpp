#include "cli/intel_feeds.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "launch/attach.h"

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
