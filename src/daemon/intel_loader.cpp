#include "daemon/intel_loader.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "base/log.h"
#include "launch/attach.h"

namespace outguard::daemon {

namespace {

constexpr std::size_t kMostTold = 8; ///< sources named in the log; the rest is counted

/// An allowlist is the operator's own, and one that shrinks takes no protection away.
bool is_free_to_shrink(const FeedReport &feed, const std::vector<launch::FeedChoice> &choices) {
  const auto *choice = choice_of(feed.name, choices);
  return feed.problem.empty() && choice != nullptr && choice->role == FeedRole::Allowlist;
}

std::vector<std::string> texts_of(const std::vector<launch::ShrinkGuard::Loss> &losses) {
  std::vector<std::string> texts;
  std::transform(losses.begin(), losses.end(), std::back_inserter(texts),
                 [](const auto &loss) { return loss.text(); });
  return texts;
}

std::string joined(const std::vector<std::string> &texts) {
  const auto named = std::min(texts.size(), kMostTold);
  auto text = fmt::format(
      "{}", fmt::join(texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(named), "; "));
  return named == texts.size() ? text : text + fmt::format("; and {} more", texts.size() - named);
}

void tell(const launch::CompiledIntel &compiled) {
  for (const auto &note : compiled.left_out) {
    log::warning(note);
  }
  for (const auto &feed : compiled.feeds) {
    if (!feed.problem.empty()) {
      log::error(feed.name + ": " + feed.problem);
    } else if (feed.rejected != 0) {
      log::warning(fmt::format("{}: {} of {} entries rejected (see outguard intel check)",
                               feed.name, feed.rejected, feed.rejected + feed.accepted));
    }
  }
}

} // namespace

bool is_of(const std::string &source, const std::string &given) {
  return source.starts_with(given) &&
         (source.size() == given.size() || given.ends_with('/') ||
          std::string_view("/!:").find(source[given.size()]) != std::string_view::npos);
}

const launch::FeedChoice *choice_of(const std::string &source,
                                    const std::vector<launch::FeedChoice> &choices) {
  const launch::FeedChoice *found = nullptr; // the longest: one URL may lie below another
  std::size_t most = 0;
  for (const auto &choice : choices) {
    const auto &given = choice.name.empty() ? choice.path : choice.name;
    if (is_of(source, given) && given.size() > most) {
      most = given.size();
      found = &choice;
    }
  }
  return found;
}

tl::expected<IntelLoader::Loaded, IntelLoader::Refusal>
IntelLoader::load(const std::vector<launch::FeedChoice> &choices,
                  const std::vector<std::string> &expected, Asked asked) {
  auto compiled = launch::compile_intel(choices, {}, ending_);
  if (ending_.stop_requested()) {
    return tl::unexpected(Refusal{"the daemon is ending", ""});
  }
  if (!compiled) {
    return refuse("it could not be compiled: " + compiled.error().message,
                  "It is tried again at the next change and at SIGHUP");
  }
  tell(*compiled);
  if (const auto may = may_replace(choices, *compiled, asked); !may) {
    return tl::unexpected(may.error());
  }
  if (const auto sound = launch::verify_intel(compiled->image); !sound) {
    return refuse("the compiled image is refused: " + sound.error().message,
                  "It is compiled anew at the next change and at SIGHUP");
  }
  guard_.accept(judged_);
  told_.clear();
  in_force_ = compiled->totals.indicators;
  recall(choices, expected);
  compare_with_earlier_run(asked);
  return Loaded{std::move(compiled->image),
                std::move(compiled->totals),
                std::move(compiled->feeds),
                choices,
                short_of_,
                short_sources_};
}

IntelLoader::Verdict IntelLoader::may_replace(const std::vector<launch::FeedChoice> &choices,
                                              const launch::CompiledIntel &compiled, Asked asked) {
  judged_.clear();
  accepted_.clear();
  std::copy_if(compiled.feeds.begin(), compiled.feeds.end(), std::back_inserter(judged_),
               [&](const FeedReport &feed) { return !is_free_to_shrink(feed, choices); });
  const auto verdict = guard_.judge(judged_, compiled.totals);
  auto losses = texts_of(verdict.losses);
  if (!verdict.problem.empty()) {
    told_ = std::move(losses);
    return refuse(verdict.problem, "It is compiled anew at the next change and at SIGHUP");
  }
  if (losses.empty()) {
    return {};
  }
  if (asked == Asked::ByUser && losses == told_) {
    log::warning("accepted by SIGHUP: " + joined(losses));
    for (const auto &loss : verdict.losses) {
      accepted_.push_back(loss.source);
    }
    return {};
  }
  told_ = std::move(losses);
  return refuse(joined(told_), fmt::format("If this is right, `kill -HUP {}` puts it in force; "
                                           "intel: most_lost_percent sets the limit",
                                           ::getpid()));
}

// ---- Beside an earlier run

/// Once, at the first set of this run. A source that is no longer configured is no loss.
void IntelLoader::recall(const std::vector<launch::FeedChoice> &choices,
                         const std::vector<std::string> &expected) {
  if (std::exchange(recalled_, true)) {
    return;
  }
  auto entries = memory_.read();
  if (!entries) {
    log::error(entries.error().message + "; whether something is missing since the last run is "
                                         "not known this time");
    return;
  }
  std::erase_if(*entries, [&](const auto &entry) {
    return choice_of(entry.first, choices) == nullptr &&
           std::none_of(expected.begin(), expected.end(),
                        [&](const auto &name) { return is_of(entry.first, name); });
  });
  earlier_.restore(std::move(*entries));
}

void IntelLoader::compare_with_earlier_run(Asked asked) {
  auto losses = earlier_.judge(judged_, {}).losses;
  std::erase_if(losses, [&](const auto &loss) {
    return std::find(accepted_.begin(), accepted_.end(), loss.source) != accepted_.end();
  });
  auto texts = texts_of(losses);
  if (texts.empty() && !short_of_.empty()) {
    log::info("what an earlier run had in force is whole again");
  } else if (!texts.empty() && asked == Asked::ByUser && texts == short_of_) {
    log::warning("accepted by SIGHUP: " + joined(texts));
    texts.clear();
    losses.clear();
  } else if (!texts.empty() && texts != short_of_) {
    log::error(fmt::format("intelligence is short of what the last run had in force: {}. What is "
                           "left is in force. If this is right, `kill -HUP {}` accepts it",
                           joined(texts), ::getpid()));
  }
  short_of_ = std::move(texts);
  short_sources_.clear();
  for (const auto &loss : losses) {
    short_sources_.push_back(loss.source);
  }
  earlier_.accept(judged_, losses);
  if (const auto written = memory_.write(earlier_.entries()); !written) {
    log::warning("what is in force is not remembered for the next run: " + written.error().message);
  }
}

tl::unexpected<IntelLoader::Refusal> IntelLoader::refuse(const std::string &why,
                                                         const std::string &remedy) const {
  if (in_force_ == 0) {
    log::error("no usable intelligence: " + why);
  } else {
    log::error(fmt::format("intelligence not replaced, {} indicators stay in force: {}. {}",
                           in_force_, why, remedy));
  }
  return tl::unexpected(Refusal{why, remedy});
}

} // namespace outguard::daemon
