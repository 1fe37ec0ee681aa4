#include "daemon/intel_journal.h"

#include <algorithm>
#include <array>

#include <sys/stat.h>

#include "daemon/file_watch.h"

namespace outguard::daemon {

namespace {

/// What the operator can do where a feed is not fetched.
const char *remedy_of(FetchProblem problem) {
  switch (problem) {
  case FetchProblem::Denied:
    return "renew or correct its key (key_file, key_variable)";
  case FetchProblem::Resolve:
    return "correct its URL, or this host's name servers";
  case FetchProblem::Connect:
  case FetchProblem::Timeout:
  case FetchProblem::Stalled:
    return "see that this host may reach the server: firewall, proxy";
  case FetchProblem::Proxy:
    return "correct proxy";
  case FetchProblem::Tls:
    return "see ca_file, this host's clock and authorities";
  case FetchProblem::BadRequest:
  case FetchProblem::HttpStatus:
  case FetchProblem::Redirects:
  case FetchProblem::Downgrade:
    return "correct its URL";
  case FetchProblem::BadAnswer:
  case FetchProblem::EndlessPages:
  case FetchProblem::TooManyPages:
  case FetchProblem::TooLarge:
    return "see that its kind and URL are right; `outguard intel fetch URL` shows what comes";
  case FetchProblem::Local:
    return "see this host's memory and disk";
  case FetchProblem::None:
  case FetchProblem::CutShort:
  case FetchProblem::RateLimited:
  case FetchProblem::ServerFault:
    break;
  }
  return "nothing to do here: it is tried again by itself";
}

api::SourceStatus source_of(const FeedReport &report, const std::string &path) {
  api::SourceStatus source;
  source.name = report.name;
  source.entries = report.accepted + report.duplicates;
  source.rejected = report.rejected;
  source.problem = report.problem;
  source.changed = last_change(std::array{path});
  return source;
}

} // namespace

IntelJournal::IntelJournal(const IntelConfig &config) {
  status_.changes.folder = config.changes;
  const launch::FeedCache cache(config.cache);
  for (const auto &feed : config.feeds) {
    auto &status = status_.feeds.emplace_back();
    status.name = feed.name;
    status.kind = to_string(feed.source.kind);
    status.place = feed.source.url.substr(0, feed.source.url.find_first_of("?#"));
    if (const auto copy = cache.find(feed.source.url, feed.source.kind)) {
      status.copy_of = copy->came;
      status.confirmed = copy->confirmed;
    }
  }
}

api::FeedStatus *IntelJournal::find(const std::string &feed) {
  const auto found = std::find_if(status_.feeds.begin(), status_.feeds.end(),
                                  [&](const auto &one) { return one.name == feed; });
  return found == status_.feeds.end() ? nullptr : &*found;
}

void IntelJournal::compiling() {
  const std::lock_guard lock(mutex_);
  status_.compiling = true;
}

void IntelJournal::loaded(const IntelLoader::Loaded &loaded) {
  api::IntelStatus fresh; // file attributes are read without the lock
  for (const auto &report : loaded.feeds) {
    const auto *choice = choice_of(report.name, loaded.choices);
    if (choice != nullptr && choice->role == FeedRole::WarningList) {
      ++fresh.warninglists;
      fresh.warninglist_entries += report.accepted;
    } else if (choice != nullptr && choice->role == FeedRole::Allowlist) {
      fresh.allowlist_entries += report.accepted;
    } else if (fresh.sources.size() == api::IntelStatus::kMostSources) {
      ++fresh.sources_left_out;
    } else {
      const bool is_feed = choice != nullptr && !choice->name.empty();
      fresh.sources.push_back(source_of(report, is_feed ? choice->path : report.name));
    }
  }
  const std::lock_guard lock(mutex_);
  const auto now = wall_now();
  status_.compiling = false;
  status_.compiled = status_.since = now;
  status_.indicators = loaded.totals.indicators;
  status_.image_bytes = loaded.totals.image_bytes;
  status_.types.clear();
  status_.sources = std::move(fresh.sources);
  status_.sources_left_out = fresh.sources_left_out;
  status_.warninglists = fresh.warninglists;
  status_.warninglist_entries = fresh.warninglist_entries;
  status_.allowlist_entries = fresh.allowlist_entries;
  status_.short_of = loaded.short_of;
  status_.problem.clear();
  status_.remedy.clear();
}

void IntelJournal::refused(const IntelLoader::Refusal &refusal) {
  const std::lock_guard lock(mutex_);
  status_.compiling = false;
  status_.compiled = wall_now();
  status_.problem = refusal.why;
  status_.remedy = refusal.remedy;
}

void IntelJournal::counted(const IntelStats &stats) {
  const std::lock_guard lock(mutex_);
  status_.types.clear();
  for (const auto &type : stats.types) {
    status_.types.push_back({to_string(type.type), type.count});
  }
}

void IntelJournal::changed(std::uint64_t added, std::uint64_t removed) {
  const std::lock_guard lock(mutex_);
  status_.changes.added = added;
  status_.changes.removed = removed;
  status_.changes.since = wall_now();
  status_.changes.problem.clear();
}

void IntelJournal::changes_refused(const std::string &why) {
  const std::lock_guard lock(mutex_);
  status_.changes.problem = why;
}

void IntelJournal::fetched(const std::string &feed, const Result<launch::RefreshedFeed> &outcome,
                           MonotonicTime next) {
  const auto now = wall_now();
  const std::lock_guard lock(mutex_);
  auto *status = find(feed);
  if (status == nullptr) {
    return;
  }
  status->last_try = now;
  status->next_try = now + (next - monotonic_now());
  const auto answer = outcome ? outcome->fetched.answer : FeedFetched();
  if (outcome && answer.status != FetchStatus::Failed) {
    status->copy_of = answer.status == FetchStatus::New ? now : status->copy_of.value_or(now);
    status->confirmed = now;
    status->failures = 0;
    status->failing_since.reset();
    status->problem.clear();
    status->remedy.clear();
    return;
  }
  ++status->failures;
  status->failing_since = status->failing_since.value_or(now);
  status->problem = outcome ? answer.reason : outcome.error().message;
  status->remedy = outcome ? remedy_of(answer.problem) : "what the message names, on this host";
}

void IntelJournal::went_back(const std::string &feed, const std::string &path) {
  struct stat about {};
  const std::lock_guard lock(mutex_);
  if (auto *status = find(feed); status != nullptr && ::stat(path.c_str(), &about) == 0) {
    status->copy_of = WallTime(std::chrono::seconds(about.st_mtim.tv_sec));
    status->confirmed = status->copy_of;
  }
}

api::IntelStatus IntelJournal::status() const {
  const std::lock_guard lock(mutex_);
  auto status = status_;
  for (auto &source : status.sources) { // a server confirms its feed without it being compiled
    for (const auto &feed : status.feeds) {
      if (source.name == feed.name && feed.confirmed) {
        source.changed = feed.confirmed;
      }
    }
  }
  return status;
}

} // namespace outguard::daemon
