#pragma once
// The taps of this sensor's VM whose packets are held; usually one, or none. One thread.

#include <memory>
#include <vector>

#include <poll.h>

#include "facts/messages.h"
#include "sensor/held_tap.h"

namespace outguard::sensor {

class HeldTaps {
public:
  /// False: one of them cannot be held.
  [[nodiscard]] bool open(const HoldSlots &slots, const PolicyJudge &policy, FlowOwners &owners,
                          HoldNotes &notes);
  [[nodiscard]] bool empty() const { return taps_.empty(); }

  /// From now on they are judged: memory and intelligence have come. Before, the kernel sees
  /// nobody.
  void begin() { begun_ = true; }
  void use(const std::shared_ptr<const intel::IntelSet> &intel);
  void add_to(std::vector<pollfd> &items) const;
  /// What was refused and no ring will bring; the tap's name.
  using Refused =
      std::function<void(const std::string &interface, const guest::PacketView &packet)>;
  /// Call often: whoever waits is judged, and the kernel sees that somebody judges.
  void work(const Refused &refused);
  /// How long they may be left alone.
  [[nodiscard]] std::chrono::milliseconds patience(std::chrono::milliseconds most) const;
  void count(CountersSeen &counters) const;

private:
  std::vector<std::unique_ptr<HeldTap>> taps_;
  bool begun_ = false;
  MonotonicTime next_expiry_{};
};

} // namespace outguard::sensor
