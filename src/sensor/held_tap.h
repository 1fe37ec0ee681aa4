#pragma once
// One tap whose packets are held: takes them from the kernel, has them judged, and answers with the
// same frame on the socket that stands for the verdict (facts/hold.h). Keeps the pulse by which the
// kernel sees that somebody judges. One thread; owns the mapped pulse, not the descriptors.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "facts/hold.h"
#include "sensor/hold_judge.h"
#include "sensor/hold_slots.h"

namespace outguard::sensor {

class HeldTap {
public:
  struct Counts {
    std::uint64_t received = 0; ///< judge's counts add up to it, with `strange`
    std::uint64_t strange = 0;  ///< not a held packet, or cut: unanswered
    std::uint64_t unsent = 0;   ///< answers that the kernel did not take

    void operator+=(const Counts &other) {
      received += other.received;
      strange += other.strange;
      unsent += other.unsent;
    }
  };
  /// A packet to the guest that was refused: no ring will bring it.
  using Refused = std::function<void(const guest::PacketView &)>;

  /// nullptr: the pulse cannot be mapped.
  [[nodiscard]] static std::unique_ptr<HeldTap> open(const HoldSlots &slots, std::size_t tap,
                                                     std::unique_ptr<HoldJudge> judge);
  ~HeldTap();
  HeldTap(const HeldTap &) = delete;
  HeldTap &operator=(const HeldTap &) = delete;

  /// Judges what waits, a bounded number at once, and says that it lives. True: there may be more.
  bool work(const Refused &refused);
  /// How long it may be left alone.
  [[nodiscard]] std::chrono::milliseconds patience() const { return patience_; }
  [[nodiscard]] int descriptor() const { return sockets_[kHoldReceive]; }
  [[nodiscard]] const std::string &interface() const { return interface_; }
  [[nodiscard]] HoldJudge &judge() { return *judge_; }
  [[nodiscard]] const HoldJudge &judge() const { return *judge_; }
  [[nodiscard]] const Counts &counts() const { return counts_; }

private:
  HeldTap() = default;
  struct Frame;
  [[nodiscard]] bool receive(Frame &frame);
  void answer(const Frame &frame, const Refused &refused);
  void send(const Frame &frame, HoldVerdict verdict);

  std::string interface_;
  std::array<int, kHoldDescriptors> sockets_{};
  std::chrono::milliseconds patience_{};
  HoldPulse *pulse_ = nullptr;
  std::unique_ptr<HoldJudge> judge_;
  std::unique_ptr<std::array<std::uint8_t, sizeof(HoldHeader) + kMostHeldFrame>> room_;
  Counts counts_;
};

} // namespace outguard::sensor
