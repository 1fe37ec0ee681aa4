#pragma once
// The descriptors of held taps, each moved to a place where nothing that is received later can
// come: frames may be sent there, and a packet ring must never be. Received before the sandbox is
// entered, from the supervisor alone.

#include <vector>

#include "base/message_socket.h"
#include "facts/messages.h"

namespace outguard::sensor {

class HoldSlots {
public:
  /// Every other descriptor is below, once the sandbox has been entered.
  static constexpr int kFirst = 512;

  /// Of a sensor that holds nothing.
  HoldSlots() = default;
  [[nodiscard]] static Result<HoldSlots> receive(MessageSocket &control);

  [[nodiscard]] std::size_t taps() const { return request_.taps.size(); }
  [[nodiscard]] int descriptor(std::size_t tap, std::size_t which) const {
    return kFirst + static_cast<int>(tap * kHoldDescriptors + which);
  }
  [[nodiscard]] const HoldTaps &request() const { return request_; }
  [[nodiscard]] std::uint32_t id() const { return id_; } ///< of the request, to be answered

private:
  HoldTaps request_;
  std::uint32_t id_ = 0;
};

} // namespace outguard::sensor
