#pragma once
// What one look at the next bytes of a stream came to: the common answer of the parsers of streams.

#include <cstdint>

namespace outguard::guest {

struct Look {
  enum class Outcome : std::uint8_t {
    NotMine,  ///< another protocol's
    NeedMore, ///< can become mine: ask again with more behind these bytes
    Consumed, ///< a whole message; look again behind it
    Done,     ///< mine, and nothing more is wanted of this direction
  };
  Outcome outcome = Outcome::NotMine;
  std::uint64_t length = 0; ///< Consumed: of the whole message, may reach beyond the bytes
};

inline constexpr Look kNotMine{Look::Outcome::NotMine, 0};
inline constexpr Look kNeedMore{Look::Outcome::NeedMore, 0};
inline constexpr Look kDone{Look::Outcome::Done, 0};
[[nodiscard]] constexpr Look consumed(std::uint64_t length) {
  return {Look::Outcome::Consumed, length};
}

} // namespace outguard::guest
