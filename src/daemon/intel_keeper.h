#pragma once
// Keeps the intelligence in force up to date while guards run: compiles it anew when a file or
// folder changes, a feed was fetched anew, or the user asks; and single adds and removes at once,
// beside it. Publishes to the IntelBoard; guards never wait for it. Owned by the supervisor.

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "daemon/file_watch.h"
#include "daemon/intel_board.h"
#include "daemon/intel_config.h"
#include "daemon/intel_delta.h"
#include "daemon/intel_journal.h"
#include "daemon/intel_loader.h"
#include "launch/feed_keeper.h"

namespace outguard::daemon {

class IntelKeeper {
public:
  IntelKeeper(const IntelConfig &config, IntelBoard &board);
  ~IntelKeeper();
  IntelKeeper(const IntelKeeper &) = delete;
  IntelKeeper &operator=(const IntelKeeper &) = delete;

  /// Compiles what there is, publishes it, and follows its changes from then on. An error when
  /// files were named and no indicator is usable.
  [[nodiscard]] Result<void> start();

  /// Nothing is compiled any more, what is being compiled ends at once. Any thread.
  void end() { ending_.request_stop(); }

  /// SIGHUP: compiles anew, single adds too, and accepts what was refused for its losses if they
  /// are the same still. Returns at once; any thread.
  void reload();

  /// What is in force, where it comes from, how old it is. Any thread; waits for nothing.
  [[nodiscard]] api::IntelStatus status() const;

private:
  // The watching thread: looks for what changed; compiles the delta itself.
  struct Seen {
    std::uint64_t files, changes; ///< signatures, of what was taken
  };
  void watch(const std::stop_token &stop, Seen seen);
  void update_changes();
  // The loading thread.
  void want(IntelLoader::Asked asked);
  void load_on_demand(const std::stop_token &stop);
  [[nodiscard]] bool load(IntelLoader::Asked asked);
  /// At start: of feeds that lost something since the last run, the copy that was in force then.
  /// False: there is none, or it did not help.
  bool go_back(const std::vector<std::string> &sources);
  void count();
  // The thread of the FeedKeeper.
  void note_fetched(const launch::FeedSource &source, const Result<launch::RefreshedFeed> &outcome,
                    MonotonicTime next);

  /// Everything there is to compile now: files, and the copies of feeds.
  [[nodiscard]] std::vector<launch::FeedChoice> choices() const;
  [[nodiscard]] std::optional<std::string> copy_of(const IntelFeed &feed) const;
  [[nodiscard]] std::uint64_t look() const;
  [[nodiscard]] std::vector<std::string> folders() const;
  void wake() const;

  const IntelConfig &config_;
  IntelBoard &board_;
  std::stop_source ending_;
  IntelDelta changes_;
  bool has_delta_ = false;
  bool starting_ = true;                     ///< no thread runs yet
  std::atomic<bool> changes_wanted_ = false; ///< compile them though they did not change
  IntelLoader loader_; ///< one thread at a time: start(), then the loading one
  IntelJournal journal_;
  FileWatch watch_; ///< likewise the watching one
  const Fd wake_;   ///< eventfd, of the watching thread

  mutable std::mutex mutex_; ///< guards the next three
  std::condition_variable_any wanted_changed_;
  std::optional<IntelLoader::Asked> wanted_;
  std::map<std::string, std::string> copies_; ///< of feeds, by name: there is one

  // Last: they end before what they use, and fetching ends first.
  std::jthread loading_;
  std::jthread watching_;
  std::unique_ptr<launch::FeedKeeper> feeds_;
};

} // namespace outguard::daemon
