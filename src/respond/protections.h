#pragma once
// What people put under protection while the supervisor runs. Guards ask it, the desk changes it
// and keeps it in its journal. Any thread.

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "facts/protection.h"

namespace outguard::respond {

class Protections {
public:
  /// What has ended is not taken.
  void add(const Protection &entry);
  void remove(const std::string &id);
  /// What holds now, by id. `vm`: of this one, and of every VM.
  [[nodiscard]] std::vector<Protection> all() const;
  [[nodiscard]] std::vector<Protection> of(const std::string &vm) const;

private:
  struct Held {
    Protection entry;
    std::optional<MonotonicTime> until; ///< a wall clock that is set back makes none last longer
  };
  /// Under the mutex.
  void forget_ended() const;

  mutable std::mutex mutex_; ///< guards all below
  mutable std::map<std::string, Held> held_;
};

} // namespace outguard::respond
