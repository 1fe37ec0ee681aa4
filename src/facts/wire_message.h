#pragma once
// A whole message of the socket between two processes, from its struct and back.

#include "facts/messages.h"
#include "facts/wire.h"

namespace outguard {

template <class Message>
[[nodiscard]] std::vector<std::uint8_t> encode_message(const Message &message) {
  WireWriter writer;
  writer(message);
  return writer.take();
}

/// nullopt: too large, cut, with bytes left over, or with a value that does not exist.
template <class Message>
[[nodiscard]] std::optional<Message> decode_message(std::span<const std::uint8_t> bytes,
                                                    WireReader::PlainText plain) {
  if (bytes.size() > kMaxMessageBytes) {
    return std::nullopt;
  }
  WireReader reader(bytes, plain);
  Message message;
  reader(message);
  return reader.finished() ? std::optional(std::move(message)) : std::nullopt;
}

} // namespace outguard
