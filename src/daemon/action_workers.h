#pragma once
// The threads that act: one a lane (action_rules.h), so that a guest that is slow holds up nobody
// else's; begun when there is something to do, ended when there has not been for a while. Owned by
// the desk; members are for any thread.

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace outguard::daemon {

struct ActionJob {
  enum class Kind : std::uint8_t {
    Act,
    Undo,  ///< before all that waits
    Look,  ///< at what somebody was at: does it hold? and goes on
    Check, ///< of what is in force, after all else: does it hold? and puts right what does not
  };
  Kind kind = Kind::Act;
  std::string id;
};

class ActionWorkers {
public:
  static constexpr std::size_t kMostWaiting = 256; ///< of Act and Look, a lane

  using Run = std::function<void(const ActionJob &job)>;
  explicit ActionWorkers(Run run, std::chrono::milliseconds idle = std::chrono::seconds(10));
  /// After what each does at the moment; what waits is left.
  ~ActionWorkers();
  ActionWorkers(const ActionWorkers &) = delete;
  ActionWorkers &operator=(const ActionWorkers &) = delete;

  [[nodiscard]] bool has_room(const std::string &lane) const;
  /// False: no thread could be had.
  [[nodiscard]] bool add(const std::string &lane, ActionJob job);
  /// Forgets the threads that have ended.
  void tidy();
  [[nodiscard]] std::size_t threads() const;

private:
  struct Worker {
    std::array<std::deque<ActionJob>, 3> jobs; ///< what is done first comes first
    bool over = false;
    std::condition_variable changed;
    std::thread thread;
  };
  void work(Worker &worker);

  const Run run_;
  const std::chrono::milliseconds idle_;
  mutable std::mutex mutex_; ///< guards all below
  bool ending_ = false;
  std::map<std::string, std::unique_ptr<Worker>> workers_;
};

} // namespace outguard::daemon
