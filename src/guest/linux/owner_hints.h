#pragma once
// Which process held a file when its descriptors were last looked at, for whatever reason. Only a
// hint: the process may have closed it, or the address may be another file's by now. Bounded: of
// files that share a place, those noted longest ago are forgotten. One thread.

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "guest/bytes/address.h"

namespace outguard::guest {

class OwnerHints {
public:
  [[nodiscard]] std::optional<GuestVirtual> find(GuestVirtual file) const {
    const Place &place = places_[place_of(file.raw())];
    const auto found = std::ranges::find(place, file.raw(), &Hint::file);
    return found != place.end() ? std::optional(GuestVirtual(found->task)) : std::nullopt;
  }
  void note(GuestVirtual file, GuestVirtual task) {
    if (file.is_null()) {
      return;
    }
    Place &place = places_[place_of(file.raw())];
    const auto before = std::ranges::find(place, file.raw(), &Hint::file);
    const auto last = before != place.end() ? before : place.end() - 1;
    std::shift_right(place.begin(), last + 1, 1);
    place.front() = {file.raw(), task.raw()};
  }
  void forget() { std::ranges::fill(places_, Place{}); }

private:
  struct Hint {
    std::uint64_t file = 0; ///< 0: none
    std::uint64_t task = 0;
  };
  using Place = std::array<Hint, 4>;         ///< a cache line
  static constexpr unsigned kPlaceBits = 14; ///< 65,536 files in 1 MiB

  /// Spread: the guest chose the addresses, and they are multiples of an object's size.
  static std::size_t place_of(std::uint64_t file) {
    return static_cast<std::size_t>(file * 0x9e37'79b9'7f4a'7c15 >> (64 - kPlaceBits));
  }

  std::vector<Place> places_ = std::vector<Place>(std::size_t{1} << kPlaceBits);
};

} // namespace outguard::guest
