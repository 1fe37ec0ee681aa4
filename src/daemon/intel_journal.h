#pragma once
// What became of the intelligence, and when: the memory behind what the supervisor tells of it.
// Written by the threads of the IntelKeeper, read by whoever asks; any thread, nobody waits long.

#include <mutex>
#include <string>

#include "api/supervisor_status.h"
#include "base/result.h"
#include "daemon/intel_config.h"
#include "daemon/intel_delta.h"
#include "daemon/intel_loader.h"
#include "facts/intel_stats.h"

namespace outguard::daemon {

class IntelJournal {
public:
  explicit IntelJournal(const IntelConfig &config);

  void compiling();
  void loaded(const IntelLoader::Loaded &loaded);
  void refused(const IntelLoader::Refusal &refusal);
  /// Of the image that was loaded last.
  void counted(const IntelStats &stats);
  void changed(std::uint64_t added, std::uint64_t removed);
  void changes_refused(const std::string &why);
  void fetched(const std::string &feed, const Result<launch::RefreshedFeed> &outcome,
               MonotonicTime next);

  /// This file is its copy now: an earlier one, instead of the latest.
  void went_back(const std::string &feed, const std::string &path);

  /// Without the version, which the board has.
  [[nodiscard]] api::IntelStatus status() const;

private:
  [[nodiscard]] api::FeedStatus *find(const std::string &feed);

  mutable std::mutex mutex_;
  api::IntelStatus status_; ///< under mutex_
};

} // namespace outguard::daemon
