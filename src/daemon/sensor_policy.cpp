#include "daemon/sensor_policy.h"

#include "base/log.h"
#include "facts/guest_text.h"

namespace outguard::daemon {

namespace {

constexpr std::chrono::milliseconds kWait{10'000};

} // namespace

Result<void> SensorPolicy::begin(launch::SensorProcess &sensor) {
  given_ = nullptr;
  version_ = 0;
  return give(sensor);
}

void SensorPolicy::follow(launch::SensorProcess &sensor) {
  if (version_ == keeper_.version()) {
    return;
  }
  if (const auto given = give(sensor); !given) {
    log::error(GuestText(name_).printable() +
               ": the sensor goes on with the policy it has: " + given.error().message);
  }
}

Result<void> SensorPolicy::give(launch::SensorProcess &sensor) {
  version_ = keeper_.version();
  const auto wanted = keeper_.policy_for(name_, uuid_);
  const bool same = wanted == given_ || (wanted && given_ && wanted->name == given_->name &&
                                         wanted->bytes == given_->bytes);
  if (!same) {
    const auto answer =
        sensor.call(wanted ? UsePolicy{wanted->name, wanted->bytes} : UsePolicy{}, {}, kWait);
    if (!answer) {
      return tl::unexpected(answer.error());
    }
    if (const auto *failed = std::get_if<Failed>(&*answer)) {
      return fail(failed->code, failed->reason);
    }
    log::info(GuestText(name_).printable() + ": " +
              (wanted ? "judged by policy " + GuestText(wanted->name).printable()
                      : std::string("no policy any more")));
  }
  given_ = wanted;
  const std::lock_guard lock(mutex_);
  in_force_ = given_ ? given_->name : std::string();
  return {};
}

std::string SensorPolicy::in_force() const {
  const std::lock_guard lock(mutex_);
  return in_force_;
}

} // namespace outguard::daemon
