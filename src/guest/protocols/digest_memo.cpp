#include "guest/protocols/digest_memo.h"

#include <functional>

namespace outguard::guest {

bool DigestMemo::append(std::string_view text, std::string &out) {
  // Whoever makes texts meet in one place makes them be hashed, as without a memory.
  Place &place = places_[std::hash<std::string_view>{}(text) % kPlaces];
  if (!place.digest.empty() && place.text == text) {
    out += place.digest;
    return true;
  }
  const std::size_t start = out.size();
  const auto *raw = reinterpret_cast<const std::uint8_t *>(text.data());
  if (!append_digest(kind_, {raw, text.size()}, out)) {
    return false;
  }
  if (text.size() <= kMostText) {
    place.text = text;
    place.digest.assign(out, start);
  }
  return true;
}

} // namespace outguard::guest
