#include "cli/intel_feeds.h"

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

void complain_about_feeds(const launch::CompiledIntel &compiled) {
  for (const auto &feed : compiled.feeds) {
    if (!feed.problem.empty()) {
      complain(GuestText(feed.name).printable() + ": " + feed.problem);
    } else if (feed.rejected != 0) {
      complain(fmt::format("{}: {} lines rejected (see intel check)",
                           GuestText(feed.name).printable(), feed.rejected));
    }
  }
}

Result<void> load_intel(launch::SensorProcess &sensor, const IntelOptions &options) {
  auto compiled = compile(options);
  if (!compiled) {
    return tl::unexpected(compiled.error());
  }
  complain_about_feeds(*compiled);
  if (!compiled->good()) {
    return fail(ErrorCode::InvalidInput, compiled->totals.problem);
  }
  return launch::use_intel(sensor, compiled->image);
}

} // namespace outguard::cli
