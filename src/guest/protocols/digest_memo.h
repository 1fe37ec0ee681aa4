#pragma once
// Digests of short lists that come again and again, as those of a ClientHello do: a few programs
// make most of them. A fixed number of places, the newest key keeps its own. One thread.

#include <array>
#include <string>
#include <string_view>

namespace outguard::guest {

class DigestMemo {
public:
  static constexpr std::size_t kPlaces = 128;
  static constexpr std::size_t kMostKey = 1024; ///< longer ones are made each time

  /// Appends what belongs to `key`: known, or what `make(out)` appends, which says whether it
  /// could.
  template <class Make>
  [[nodiscard]] bool append(std::string_view key, std::string &out, Make &&make) {
    // Whoever makes keys meet in one place has them made anew, as without a memory.
    Place &place = place_of(key);
    if (!place.digest.empty() && place.key == key) {
      out += place.digest;
      return true;
    }
    const std::size_t start = out.size();
    if (!make(out)) {
      return false;
    }
    if (key.size() <= kMostKey) {
      place.key = key;
      place.digest.assign(out, start);
    }
    return true;
  }

private:
  struct Place {
    std::string key;
    std::string digest; ///< empty: nothing is kept here
  };
  [[nodiscard]] Place &place_of(std::string_view key);

  std::array<Place, kPlaces> places_;
};

} // namespace outguard::guest
