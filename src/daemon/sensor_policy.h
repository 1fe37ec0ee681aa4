#pragma once
// Keeps the sensor of one VM at the policy that is in force for it. Owned by the VmGuard, on its
// watching thread but where said otherwise. A VM without a policy costs a look at a number.

#include <cstdint>
#include <mutex>
#include <string>

#include "base/result.h"
#include "daemon/policy_keeper.h"
#include "launch/sensor_process.h"

namespace outguard::daemon {

class SensorPolicy {
public:
  /// `name` and `uuid` as the files name VMs.
  SensorPolicy(const PolicyKeeper &keeper, std::string name, std::string uuid)
      : keeper_(keeper), name_(std::move(name)), uuid_(std::move(uuid)) {}

  /// To a sensor that just started.
  [[nodiscard]] Result<void> begin(launch::SensorProcess &sensor);
  /// Call often: hands over what is new.
  void follow(launch::SensorProcess &sensor);
  /// The policy's name; empty: the sensor has none. Any thread.
  [[nodiscard]] std::string in_force() const;

private:
  [[nodiscard]] Result<void> give(launch::SensorProcess &sensor);

  const PolicyKeeper &keeper_;
  const std::string name_, uuid_;
  std::uint64_t version_ = 0;                   ///< of the keeper, that was looked at last
  std::shared_ptr<const PolicyInForce> given_;  ///< null: none

  mutable std::mutex mutex_;
  std::string in_force_;
};

} // namespace outguard::daemon
