#include "daemon/intel_keeper.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/settling.h"
#include "launch/attach.h"
#include "launch/good_copy.h"

namespace outguard::daemon {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMoving{100};      ///< between looks at what may be being written
constexpr milliseconds kIdle{5000};       ///< between looks that nothing asked for
constexpr milliseconds kPace{2};          ///< the least between two looks, however busy a folder is
constexpr std::chrono::hours kLongest{1}; ///< a change that is noticed later is not timed

/// When it changed, by this host's steady clock.
MonotonicTime since(std::optional<WallTime> changed) {
  const auto now = monotonic_now();
  const auto age = changed ? wall_now() - *changed : std::chrono::nanoseconds(0);
  return age.count() > 0 && age < kLongest ? now - age : now;
}

std::string time_of(const std::string &file) {
  const auto changed = last_change(std::array{file});
  return changed ? eve_timestamp(*changed) : "an unknown time";
}

std::string parent_of(const std::string &path) {
  const auto parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

} // namespace

IntelKeeper::IntelKeeper(const IntelConfig &config, IntelBoard &board)
    : config_(config), board_(board), changes_(config.changes, ending_.get_token()),
      loader_(config.most_lost_percent, config.cache, ending_.get_token()), journal_(config),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  for (const auto &feed : config_.feeds) {
    if (auto copy = launch::FeedCache(config_.cache).find(feed.source.url, feed.source.kind)) {
      copies_[feed.name] = std::move(copy->path);
    } else if (auto good = launch::good_copy_of(
                   launch::FeedCache(config_.cache).path_of(feed.source.url, feed.source.kind))) {
      log::warning("feed " + feed.name + ": its latest copy is damaged or gone");
      journal_.went_back(feed.name, *good);
      copies_[feed.name] = std::move(*good);
    }
  }
}

IntelKeeper::~IntelKeeper() {
  end();
  feeds_.reset();
  watching_.request_stop();
  loading_.request_stop();
  wake();
}

Result<void> IntelKeeper::start() {
  const Seen seen{look(), signature_of(changes_.files())};
  if (choices().empty()) {
    log::warning(config_.feeds.empty()
                     ? "no intelligence is configured: nothing but single adds is matched"
                     : "no feed was ever fetched: nothing is matched before the first has come");
  } else if (!load(IntelLoader::Asked::ByChange) && config_.feeds.empty()) {
    return fail(ErrorCode::InvalidInput, "no usable intelligence; the lines above say why");
  }
  update_changes();
  starting_ = false;
  loading_ = std::jthread([this](const std::stop_token &stop) { load_on_demand(stop); });
  watching_ = std::jthread([this, seen](const std::stop_token &stop) { watch(stop, seen); });
  if (!config_.feeds.empty()) {
    std::vector<launch::FeedSource> sources;
    for (const auto &feed : config_.feeds) {
      sources.push_back(feed.source);
    }
    feeds_ = std::make_unique<launch::FeedKeeper>(
        std::move(sources), config_.cache,
        [this](const auto &source, const auto &outcome, auto next) {
          note_fetched(source, outcome, next);
        });
  }
  return {};
}

void IntelKeeper::reload() {
  want(IntelLoader::Asked::ByUser);
  changes_wanted_ = true;
  wake();
}

void IntelKeeper::wake() const {
  const std::uint64_t one = 1;
  if (::write(wake_.get(), &one, sizeof one) < 0) {
    return; // it is readable already
  }
}

// ---- What there is

std::vector<launch::FeedChoice> IntelKeeper::choices() const {
  auto all = config_.files;
  const std::lock_guard lock(mutex_);
  for (const auto &feed : config_.feeds) {
    if (const auto copy = copies_.find(feed.name); copy != copies_.end()) {
      all.push_back(
          {copy->second, feed.allow_reserved, feed.format, FeedRole::Indicators, feed.name});
    }
  }
  return all;
}

std::optional<std::string> IntelKeeper::copy_of(const IntelFeed &feed) const {
  const std::lock_guard lock(mutex_);
  const auto copy = copies_.find(feed.name);
  return copy == copies_.end() ? std::nullopt : std::optional(copy->second);
}

std::uint64_t IntelKeeper::look() const {
  std::vector<std::string> files;
  for (const auto &choice : choices()) {
    auto some = launch::expand(choice).value_or(std::vector<std::string>());
    std::move(some.begin(), some.end(), std::back_inserter(files));
  }
  return signature_of(files);
}

std::vector<std::string> IntelKeeper::folders() const {
  std::set<std::string> all; // of files and copies, of folders themselves, and of what is in those
  for (const auto &choice : choices()) {
    all.insert(parent_of(choice.path));
    all.insert(choice.path); // a file is not watched, its folder is
    for (const auto &file : launch::expand(choice).value_or(std::vector<std::string>())) {
      all.insert(parent_of(file));
    }
  }
  std::vector<std::string> list{changes_.folder()}; // first: the kernel may have too few watches
  list.insert(list.end(), all.begin(), all.end());
  return list;
}

// ---- Watching

void IntelKeeper::watch(const std::stop_token &stop, Seen seen) {
  Settling settling(seen.files);
  watch_.watch(folders());
  auto next_look = monotonic_now();
  while (!stop.stop_requested()) {
    const bool wanted = changes_wanted_.exchange(false);
    if (const auto now = signature_of(changes_.files()); wanted || now != seen.changes) {
      seen.changes = now;
      update_changes();
    }
    const auto now = monotonic_now();
    const bool looks = now >= next_look;
    if (looks) {
      next_look = now + kMoving;
      watch_.watch(folders());
      if (settling.look(look(), now)) {
        want(IntelLoader::Asked::ByChange);
      }
    }
    watch_.wait(wake_.get(), !looks || settling.is_moving() ? kMoving : kIdle);
    std::this_thread::sleep_for(kPace);
  }
}

void IntelKeeper::update_changes() {
  const auto &[added, removed] = changes_.files();
  const std::array places{added, removed, changes_.folder()}; // the folder: one was deleted
  const auto began = since(last_change(places));
  auto compiled = changes_.compile();
  if (!compiled) {
    return journal_.changes_refused(compiled.error());
  }
  journal_.changed(compiled->added, compiled->removed);
  if (!compiled->delta && !has_delta_) {
    return;
  }
  has_delta_ = compiled->delta != nullptr;
  board_.publish_delta(
      std::move(compiled->delta), compiled->added != 0,
      {fmt::format("delta in force: {} added, {} removed", compiled->added, compiled->removed),
       began});
}

void IntelKeeper::note_fetched(const launch::FeedSource &source,
                               const Result<launch::RefreshedFeed> &outcome, MonotonicTime next) {
  const auto feed =
      std::find_if(config_.feeds.begin(), config_.feeds.end(), [&](const IntelFeed &one) {
        return one.source.url == source.url && one.source.kind == source.kind;
      });
  if (feed == config_.feeds.end()) {
    return;
  }
  journal_.fetched(feed->name, outcome, next);
  const auto &answer = outcome ? outcome->fetched.answer : FeedFetched();
  if (!outcome || answer.status == FetchStatus::Failed) {
    const auto copy = copy_of(*feed);
    log::warning(fmt::format("feed {}: not fetched, {}: {}", feed->name,
                             copy ? "its last good copy stays, of " + time_of(*copy)
                                  : "and there is no earlier copy",
                             outcome ? answer.reason : outcome.error().message));
    return;
  }
  log::info(
      fmt::format("feed {}: {}, {} bytes", feed->name, to_string(answer.status), answer.bytes));
  {
    const std::lock_guard lock(mutex_);
    copies_[feed->name] = outcome->path;
  }
  wake();
}

// ---- Loading

void IntelKeeper::want(IntelLoader::Asked asked) {
  {
    const std::lock_guard lock(mutex_);
    if (wanted_ != IntelLoader::Asked::ByUser) {
      wanted_ = asked;
    }
  }
  wanted_changed_.notify_all();
}

void IntelKeeper::load_on_demand(const std::stop_token &stop) {
  count(); // what start() loaded
  while (true) {
    std::unique_lock lock(mutex_);
    if (!wanted_changed_.wait(lock, stop, [this] { return wanted_.has_value(); })) {
      return;
    }
    const auto asked = *std::exchange(wanted_, std::nullopt);
    lock.unlock();
    if (load(asked)) {
      count();
    }
  }
}

/// After it is in force: nobody waits for the numbers.
void IntelKeeper::count() {
  const auto image = board_.now().image;
  if (const auto stats = image ? launch::describe_intel(*image) : Result<IntelStats>(); stats) {
    journal_.counted(*stats);
  }
}

api::IntelStatus IntelKeeper::status() const {
  auto status = journal_.status();
  status.version = board_.now().number;
  return status;
}

bool IntelKeeper::load(IntelLoader::Asked asked) {
  const auto began = monotonic_now();
  journal_.compiling();
  std::vector<std::string> feeds;
  std::transform(config_.feeds.begin(), config_.feeds.end(), std::back_inserter(feeds),
                 [](const IntelFeed &feed) { return feed.name; });
  const auto all = choices();
  std::vector<launch::CopyMark> marks; // before they are read
  for (const auto &choice : all) {
    if (auto mark = choice.name.empty() ? std::nullopt : launch::mark_of(choice.path)) {
      marks.push_back(std::move(*mark));
    }
  }
  auto loaded = loader_.load(all, feeds, asked);
  if (!loaded) {
    journal_.refused(loaded.error());
    return starting_ && go_back(feeds);
  }
  journal_.loaded(*loaded);
  if (loaded->short_of.empty()) {
    for (const auto &mark : marks) {
      static_cast<void>(launch::keep_good(mark)); // it is a second name for what is there
    }
  }
  board_.publish_image(std::move(loaded->image),
                       {fmt::format("intelligence in force: {} indicators from {} source{}",
                                    loaded->totals.indicators, loaded->feeds.size(),
                                    loaded->feeds.size() == 1 ? "" : "s"),
                        began});
  if (starting_ && !loaded->short_sources.empty()) {
    go_back(loaded->short_sources);
  }
  return true;
}

bool IntelKeeper::go_back(const std::vector<std::string> &sources) {
  bool any = false;
  const auto all = choices();
  const auto is_lost = [&](const std::string &source, const std::string &feed) {
    const auto *choice = choice_of(source, all); // null: nothing of it was compiled
    return choice == nullptr ? is_of(source, feed) : choice->name == feed;
  };
  for (const auto &feed : config_.feeds) {
    const auto path = launch::FeedCache(config_.cache).path_of(feed.source.url, feed.source.kind);
    const auto good = launch::good_copy_of(path);
    const bool lost = std::any_of(sources.begin(), sources.end(), [&](const std::string &source) {
      return is_lost(source, feed.name);
    });
    const std::lock_guard lock(mutex_);
    if (lost && good && copies_[feed.name] != *good) {
      log::warning(
          fmt::format("feed {}: goes on with the copy that was in force in the last run, of {}",
                      feed.name, time_of(*good)));
      journal_.went_back(feed.name, *good);
      copies_[feed.name] = *good;
      any = true;
    }
  }
  return any && load(IntelLoader::Asked::ByChange);
}

} // namespace outguard::daemon
