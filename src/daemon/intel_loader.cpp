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
  return feed.problem.empty() &&
         std::any_of(choices.begin(), choices.end(), [&](const launch::FeedChoice &choice) {
           return choice.role == FeedRole::Allowlist &&
                  (feed.name == choice.path || feed.name.starts_with(choice.path + "/"));
         });
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

std::optional<IntelLoader::Loaded> IntelLoader::load(const std::vector<launch::FeedChoice> &choices,
                                                     Asked asked) {
  auto compiled = launch::compile_intel(choices);
  if (!compiled) {
    refuse("it could not be compiled: " + compiled.error().message,
           "It is tried again at the next change and at SIGHUP");
    return std::nullopt;
  }
  tell(*compiled);
  if (!may_replace(choices, *compiled, asked)) {
    return std::nullopt;
  }
  if (const auto sound = launch::verify_intel(compiled->image); !sound) {
    refuse("the compiled image is refused: " + sound.error().message,
           "It is compiled anew at the next change and at SIGHUP");
    return std::nullopt;
  }
  guard_.accept(judged_);
  told_.clear();
  in_force_ = compiled->totals.indicators;
  return Loaded{std::move(compiled->image), in_force_, compiled->feeds.size()};
}

bool IntelLoader::may_replace(const std::vector<launch::FeedChoice> &choices,
                              const launch::CompiledIntel &compiled, Asked asked) {
  judged_.clear();
  std::copy_if(compiled.feeds.begin(), compiled.feeds.end(), std::back_inserter(judged_),
               [&](const FeedReport &feed) { return !is_free_to_shrink(feed, choices); });
  const auto verdict = guard_.judge(judged_, compiled.totals);
  std::vector<std::string> losses;
  for (const auto &loss : verdict.losses) {
    losses.push_back(loss.text());
  }
  if (!verdict.problem.empty()) {
    told_ = losses;
    refuse(verdict.problem, "It is compiled anew at the next change and at SIGHUP");
    return false;
  }
  if (losses.empty()) {
    return true;
  }
  const auto named = std::min(losses.size(), kMostTold);
  auto text = fmt::format(
      "{}", fmt::join(losses.begin(), losses.begin() + static_cast<std::ptrdiff_t>(named), "; "));
  if (named < losses.size()) {
    text += fmt::format("; and {} more", losses.size() - named);
  }
  if (asked == Asked::ByUser && losses == told_) {
    log::warning("accepted by SIGHUP: " + text);
    return true;
  }
  told_ = losses;
  refuse(text, fmt::format("If this is right, `kill -HUP {}` puts it in force; "
                           "intel: most_lost_percent sets the limit",
                           ::getpid()));
  return false;
}

void IntelLoader::refuse(const std::string &why, const std::string &remedy) const {
  if (in_force_ == 0) {
    log::error("no usable intelligence: " + why);
  } else {
    log::error(fmt::format("intelligence not replaced, {} indicators stay in force: {}. {}",
                           in_force_, why, remedy));
  }
}

} // namespace outguard::daemon
