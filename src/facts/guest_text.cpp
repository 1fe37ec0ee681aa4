#include "facts/guest_text.h"

#include "base/printable.h"

namespace outguard {

std::string GuestText::printable() const {
  return to_printable(bytes_);
}

bool GuestText::is_utf8() const {
  return outguard::is_utf8(bytes_);
}

} // namespace outguard
