#include "daemon/sensor_intel.h"

#include "base/log.h"
#include "launch/attach.h"

namespace outguard::daemon {

namespace {

constexpr std::chrono::milliseconds kRetry{1000};
constexpr std::chrono::hours kIdle{1};

} // namespace

SensorIntel::SensorIntel(IntelBoard &board, std::string name)
    : board_(board), name_(std::move(name)),
      thread_([this](const std::stop_token &stop) { follow(stop); }) {}

SensorIntel::~SensorIntel() {
  thread_.request_stop();
  thread_.join();
  end();
}

Result<void> SensorIntel::begin(std::shared_ptr<launch::SensorProcess> sensor) {
  const std::lock_guard lock(mutex_);
  sensor_ = std::move(sensor);
  given_ = {};
  version_ = 0;
  auto given = give();
  if (!given) {
    sensor_.reset();
  }
  return given;
}

void SensorIntel::end() {
  const std::lock_guard lock(mutex_);
  sensor_.reset();
  version_ = 0;
  board_.left(this);
}

void SensorIntel::follow(const std::stop_token &stop) {
  std::uint64_t seen = 0;
  bool failed = false;
  while (!stop.stop_requested()) {
    const auto wait = failed ? kRetry : std::chrono::milliseconds(kIdle);
    if (!board_.wait_for_other(seen, wait, stop) && !failed) {
      continue;
    }
    const std::lock_guard lock(mutex_);
    seen = board_.now().number;
    const auto given = sensor_ ? give() : Result<void>();
    const bool again = failed;
    // Unreachable: it has ended, and the next one begins anew.
    failed = !given && given.error().code != ErrorCode::Unreachable;
    if (failed && !again) {
      log::error(name_ +
                 ": the sensor goes on with the intelligence it has: " + given.error().message);
    }
  }
}

Result<void> SensorIntel::give() {
  auto now = board_.now();
  Result<void> done;
  const bool same_image = now.image && now.image_number == given_.image_number;
  if (now.number != given_.number) {
    const Fd *delta = now.image || now.delta_adds ? now.delta.get() : nullptr;
    done = same_image && delta != nullptr
               ? launch::use_delta(*sensor_, *delta)
               : launch::use_verified_intel(*sensor_, now.image.get(), delta);
  }
  if (done) {
    board_.took(this, now.number);
    version_ = now.number;
    given_ = std::move(now);
  }
  return done;
}

} // namespace outguard::daemon
