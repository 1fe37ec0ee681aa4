#pragma once
// Guest addresses as distinct types: a virtual address cannot be passed where a physical one is
// meant, and neither is a number until raw() is called. No operator+: an address that wraps is a
// fact about a hostile guest, so plus() says so.

#include <compare>
#include <cstdint>
#include <optional>

namespace outguard::guest {

template <class Tag> class Address {
public:
  constexpr Address() = default;
  constexpr explicit Address(std::uint64_t raw) : raw_(raw) {}

  [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }
  [[nodiscard]] constexpr bool is_null() const { return raw_ == 0; }
  /// nullopt when the sum wraps around 2^64.
  [[nodiscard]] constexpr std::optional<Address> plus(std::uint64_t distance) const {
    std::uint64_t sum = 0;
    if (__builtin_add_overflow(raw_, distance, &sum)) {
      return std::nullopt;
    }
    return Address(sum);
  }
  /// For container_of: the address `distance` bytes before, modulo 2^64 (an address that wrapped is
  /// simply not mapped, and the read says so). Same for offset_by().
  [[nodiscard]] constexpr Address minus_wrapping(std::uint64_t distance) const {
    return Address(raw_ - distance);
  }
  [[nodiscard]] constexpr Address plus_wrapping(std::uint64_t distance) const {
    return Address(raw_ + distance);
  }

  constexpr auto operator<=>(const Address &) const = default;

private:
  std::uint64_t raw_ = 0;
};

/// What the guest's page tables hold: an address in the machine that QEMU presents.
using GuestPhysical = Address<struct PhysicalTag>;
/// What the guest's code uses; only an AddressSpace turns it into a GuestPhysical.
using GuestVirtual = Address<struct VirtualTag>;

} // namespace outguard::guest
