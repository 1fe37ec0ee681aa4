#pragma once
// Digests of short texts that come again and again, as the lists of a ClientHello do: a few
// programs make most of them. A fixed number of places, the newest text keeps its own. One thread.

#include <array>
#include <string>
#include <string_view>

#include "guest/protocols/digest.h"

namespace outguard::guest {

class DigestMemo {
public:
  static constexpr std::size_t kPlaces = 128;
  static constexpr std::size_t kMostText = 1024; ///< longer ones are hashed each time

  explicit DigestMemo(DigestKind kind) : kind_(kind) {}

  /// As append_digest().
  [[nodiscard]] bool append(std::string_view text, std::string &out);

private:
  struct Place {
    std::string text;
    std::string digest; ///< empty: nothing is kept here
  };

  DigestKind kind_;
  std::array<Place, kPlaces> places_;
};

} // namespace outguard::guest
