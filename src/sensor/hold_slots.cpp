#include "sensor/hold_slots.h"

#include <fcntl.h>

namespace outguard::sensor {

Result<HoldSlots> HoldSlots::receive(MessageSocket &control) {
  constexpr std::chrono::seconds kWait{10};
  auto message = control.receive(kWait);
  if (!message || !*message) {
    return fail(ErrorCode::Timeout, "nobody said which taps are held");
  }
  auto request = decode_request((*message)->bytes);
  auto *wanted = request ? std::get_if<HoldTaps>(&request->body) : nullptr;
  const auto &fds = (*message)->fds;
  if (wanted == nullptr || wanted->taps.empty() || wanted->taps.size() > kMostHeldTaps ||
      fds.size() != wanted->taps.size() * kHoldDescriptors) {
    return fail(ErrorCode::InvalidInput, "these are no taps to be held");
  }
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const int place = kFirst + static_cast<int>(i);
    if (::fcntl(fds[i].get(), F_DUPFD_CLOEXEC, place) != place) {
      return fail_errno("descriptor of a held tap");
    }
  }
  HoldSlots slots;
  slots.id_ = request->id;
  slots.request_ = std::move(*wanted);
  return slots;
}

} // namespace outguard::sensor
