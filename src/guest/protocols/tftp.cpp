#include "guest/protocols/tftp.h"

#include <algorithm>

#include "guest/protocols/text_line.h"

namespace outguard::guest {

bool look_at_tftp(std::span<const std::uint8_t> datagram, std::string &scratch,
                  ObservableSink &sink) {
  constexpr std::size_t kOperation = 2;
  constexpr std::size_t kMostBytes = 512; // of a request (RFC 2347)
  if (datagram.size() <= kOperation || datagram[0] != 0 || datagram[1] < 1 || datagram[1] > 2) {
    return false;
  }
  const auto text = as_text(datagram.first(std::min(datagram.size(), kMostBytes)));
  const auto name_end = text.find('\0', kOperation);
  if (name_end == std::string_view::npos || name_end == kOperation) {
    return false;
  }
  const auto mode_end = text.find('\0', name_end + 1);
  if (mode_end == std::string_view::npos) {
    return false;
  }
  const auto mode = text.substr(name_end + 1, mode_end - name_end - 1);
  if (!equals_ignoring_case(mode, "octet") && !equals_ignoring_case(mode, "netascii") &&
      !equals_ignoring_case(mode, "mail")) {
    return false;
  }
  scratch.clear();
  append_printable(text.substr(kOperation, name_end - kOperation), kMostBytes, scratch);
  sink.observe({ObservableKind::FileName, HostForm::NoHost, scratch});
  return true;
}

} // namespace outguard::guest
