#pragma once
// What a responder asks of a VM's sensor, over its socket. A response uses the sensor that is there
// when it begins; if that one dies meanwhile, its answer is an error and nothing is claimed.

#include <memory>

#include "launch/sensor_process.h"
#include "respond/sensor_link.h"

namespace outguard::daemon {

class SensorLink : public respond::SensorLink {
public:
  /// Null: there is none at the moment, and every answer is Unreachable.
  explicit SensorLink(std::shared_ptr<launch::SensorProcess> sensor) : sensor_(std::move(sensor)) {}

  Result<WritePlan> plan_kill(const ProcessIdentity &process) override {
    return sensor_ ? launch::plan_kill(*sensor_, process) : no_sensor();
  }
  Result<SignalPlan> plan_signal(const ProcessIdentity &process, GuestSignal signal) override {
    return sensor_ ? launch::plan_signal(*sensor_, process, signal) : no_sensor();
  }
  Result<ProcessFate> fate(const ProcessIdentity &process) override {
    return sensor_ ? launch::check_fate(*sensor_, process) : no_sensor();
  }
  TcpPosition tcp_position(const FlowSeen &flow) override {
    return sensor_ ? launch::locate_flow(*sensor_, flow).value_or(flow.tcp) : flow.tcp;
  }

private:
  static tl::unexpected<Error> no_sensor() {
    return fail(ErrorCode::Unreachable, "the VM has no sensor at the moment");
  }
  std::shared_ptr<launch::SensorProcess> sensor_;
};

} // namespace outguard::daemon
