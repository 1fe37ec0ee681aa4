#pragma once
// Keeps the sensor of one VM at the intelligence in force, on a thread of its own: neither a guard
// that waits for its guest nor another VM's sensor holds it up. Owned by the VmGuard.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "daemon/intel_board.h"
#include "launch/sensor_process.h"

namespace outguard::daemon {

class SensorIntel {
public:
  SensorIntel(IntelBoard &board, std::string name);
  /// The sensor must have ended, or answer, for this to return.
  ~SensorIntel();
  SensorIntel(const SensorIntel &) = delete;
  SensorIntel &operator=(const SensorIntel &) = delete;

  /// Gives a sensor that just started what is in force, and from now on what comes after it.
  [[nodiscard]] Result<void> begin(std::shared_ptr<launch::SensorProcess> sensor);
  /// The sensor has ended.
  void end();
  /// Number of the state that the sensor has (IntelInForce::number); 0: it has none. Waits for
  /// nobody.
  [[nodiscard]] std::uint64_t version() const { return version_; }

private:
  void follow(const std::stop_token &stop);
  /// Under mutex_, with a sensor.
  [[nodiscard]] Result<void> give();

  IntelBoard &board_;
  const std::string name_; ///< printable
  std::mutex mutex_;       ///< guards all below; held while the sensor is told
  std::shared_ptr<launch::SensorProcess> sensor_;
  IntelInForce given_;
  std::atomic<std::uint64_t> version_ = 0; ///< of given_, without the mutex
  std::jthread thread_;
};

} // namespace outguard::daemon
