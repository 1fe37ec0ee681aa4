#include "facts/messages.h"

#include "facts/wire.h"

namespace outguard {

namespace {

template <class Message> std::vector<std::uint8_t> encode_any(const Message &message) {
  WireWriter writer;
  writer(message);
  return writer.take();
}

template <class Message>
std::optional<Message> decode_any(std::span<const std::uint8_t> bytes,
                                  WireReader::PlainText plain) {
  if (bytes.size() > kMaxMessageBytes) {
    return std::nullopt;
  }
  WireReader reader(bytes, plain);
  Message message;
  reader(message);
  if (!reader.finished()) {
    return std::nullopt;
  }
  return message;
}

} // namespace

std::vector<std::uint8_t> encode(const RequestEnvelope &message) {
  return encode_any(message);
}
std::vector<std::uint8_t> encode(const ReportEnvelope &message) {
  return encode_any(message);
}

std::optional<RequestEnvelope> decode_request(std::span<const std::uint8_t> bytes) {
  return decode_any<RequestEnvelope>(bytes, WireReader::PlainText::Any);
}
std::optional<ReportEnvelope> decode_report(std::span<const std::uint8_t> bytes) {
  return decode_any<ReportEnvelope>(bytes, WireReader::PlainText::MustBePrintable);
}

} // namespace outguard
