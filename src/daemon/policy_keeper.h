#pragma once
// The policies of this host's VMs (docs/policy.md): read when the supervisor starts, and again when
// a file changes or the user asks. A file that is malformed, or fails its own tests, replaces
// nothing: the one that was in force stays, and what is wrong is told. Owned by the supervisor;
// members are for any thread.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/supervisor_status.h"
#include "base/fd.h"
#include "base/result.h"
#include "daemon/file_watch.h"
#include "policy/files/policy_file.h"

namespace outguard::daemon {

/// What a sensor is handed.
struct PolicyInForce {
  std::string name; ///< of the file, without folder and ending
  std::vector<std::uint8_t> bytes;
};

class PolicyKeeper {
public:
  /// Files, and folders of them.
  explicit PolicyKeeper(std::vector<std::string> places);
  ~PolicyKeeper();
  PolicyKeeper(const PolicyKeeper &) = delete;
  PolicyKeeper &operator=(const PolicyKeeper &) = delete;

  /// An error says what is wrong, with its place; nothing is in force then. Follows changes from
  /// then on, where there are places at all.
  [[nodiscard]] Result<void> start();
  /// Reads all anew. Returns at once.
  void reload();

  /// Another whenever something else is in force; never 0.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  /// By name or UUID, else the file for every other VM. null: it has none.
  [[nodiscard]] std::shared_ptr<const PolicyInForce> policy_for(std::string_view name,
                                                                std::string_view uuid) const;
  [[nodiscard]] api::PolicyStatus status() const;

private:
  void watch(const std::stop_token &stop, std::uint64_t seen);
  /// What is wrong, in one line; empty: all is in force as it stands in the files.
  [[nodiscard]] std::string read();
  [[nodiscard]] std::vector<std::string> folders() const;
  [[nodiscard]] std::uint64_t look() const;
  void take(const std::string &problem);

  const std::vector<std::string> places_;
  std::map<std::string, policy::PolicyFile> files_; ///< the last good ones, by path; one thread
  FileWatch watch_;                                 ///< of the thread
  const Fd wake_;                                   ///< eventfd, of the thread
  std::atomic<bool> wanted_ = false;
  std::atomic<std::uint64_t> version_ = 1;

  mutable std::mutex mutex_; ///< guards all below
  std::map<std::string, std::shared_ptr<const PolicyInForce>, std::less<>> by_vm_;
  api::PolicyStatus status_;

  std::jthread thread_; ///< last: it uses all above
};

} // namespace outguard::daemon
