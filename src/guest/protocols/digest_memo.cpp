#include "guest/protocols/digest_memo.h"

#include <functional>

namespace outguard::guest {

DigestMemo::Place &DigestMemo::place_of(std::string_view key) {
  return places_[std::hash<std::string_view>{}(key) % kPlaces];
}

} // namespace outguard::guest
