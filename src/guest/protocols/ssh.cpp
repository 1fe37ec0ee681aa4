#include "guest/protocols/ssh.h"

#include <algorithm>
#include <array>

#include "guest/bytes/byte_cursor.h"
#include "guest/protocols/digest.h"
#include "guest/protocols/text_line.h"

namespace outguard::guest {

Look look_at_ssh_banner(std::span<const std::uint8_t> bytes, std::string &scratch,
                        ObservableSink &sink) {
  constexpr std::string_view kStart = "SSH-";
  constexpr std::size_t kMaxLine = 255; // RFC 4253, 4.2
  const auto text = as_text(bytes.first(std::min(bytes.size(), kMaxLine)));
  if (text.substr(0, kStart.size()) != kStart.substr(0, text.size())) {
    return kNotMine;
  }
  const auto line = first_line(bytes.first(text.size()));
  if (!line) {
    return text.size() < kMaxLine ? kNeedMore : kNotMine;
  }
  const auto dash = line->text.find('-', kStart.size());
  scratch.clear();
  append_printable(line->text.substr(dash == std::string_view::npos ? kStart.size() : dash + 1),
                   kMaxLine, scratch);
  if (!scratch.empty() && sink.wants(ObservableKind::SshBanner)) {
    sink.observe({ObservableKind::SshBanner, HostForm::NoHost, scratch});
  }
  return consumed(line->length);
}

Look look_at_ssh_packet(std::span<const std::uint8_t> bytes, StreamRole sender,
                        std::string &scratch, ObservableSink &sink) {
  constexpr std::size_t kMaxPacket =
      std::size_t{12} * 1024; // of those in use, the longest have 3 KiB
  constexpr std::uint8_t kKexInit = 20;
  constexpr std::size_t kCookie = 16;
  ByteCursor cursor(bytes);
  const auto length = cursor.be32();
  if (!length) {
    return kNeedMore;
  }
  if (*length > kMaxPacket) {
    return kDone;
  }
  auto packet = cursor.window(*length);
  if (!packet) {
    return kNeedMore;
  }
  const auto padding = packet->u8();
  const auto type = packet->u8();
  if (!padding || !type || *type != kKexInit || !packet->skip(kCookie)) {
    return kDone;
  }
  // Key exchange, host key; then cipher, MAC and compression, each for what the client sends and
  // for what the server sends.
  std::array<std::string_view, 8> lists;
  for (std::string_view &list : lists) {
    const auto size = packet->be32();
    const auto names = packet->take(size.value_or(0));
    if (!size || !names) {
      return kDone;
    }
    list = as_text(*names);
  }
  const std::size_t own = sender == StreamRole::Client ? 0 : 1;
  const auto kind = own == 0 ? ObservableKind::SshHassh : ObservableKind::SshHasshServer;
  if (!sink.wants(kind)) {
    return kDone;
  }
  scratch = lists[0];
  for (const std::size_t both : {2U, 4U, 6U}) {
    scratch += ';';
    scratch += lists[both + own];
  }
  std::string hassh;
  if (append_digest(DigestKind::Md5, as_bytes(scratch), hassh)) {
    sink.observe({kind, HostForm::NoHost, hassh});
  }
  return kDone;
}

} // namespace outguard::guest
