#pragma once
// Hashes of certificates too long to be held, of many streams at once, each piece by piece.
// Bounded: the one begun first gives way to a new one and is lost. One thread.

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/digest.h"
#include "guest/protocols/observable.h"

namespace outguard::guest {

class LongCertificates {
public:
  static constexpr std::size_t kSlots = 16;

  /// Never 0.
  [[nodiscard]] std::uint32_t begin();
  /// False: it is lost.
  [[nodiscard]] bool add(std::uint32_t number, std::span<const std::uint8_t> bytes);
  void end(std::uint32_t number, std::string &scratch, ObservableSink &sink);
  /// No more of it is known. 0: it was never begun.
  void lose(std::uint32_t number);
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

private:
  struct Slot {
    std::uint32_t number = 0; ///< 0: free
    RunningDigest sha1{DigestKind::Sha1};
    RunningDigest sha256{DigestKind::Sha256};
  };
  [[nodiscard]] Slot &slot_of(std::uint32_t number) { return slots_[number % kSlots]; }

  std::array<Slot, kSlots> slots_;
  std::uint32_t last_ = 0;
  std::uint64_t lost_ = 0;
};

} // namespace outguard::guest
