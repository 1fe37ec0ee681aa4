#include "facts/messages.h"

#include "facts/wire_message.h"

namespace outguard {

std::vector<std::uint8_t> encode(const RequestEnvelope &message) {
  return encode_message(message);
}
std::vector<std::uint8_t> encode(const ReportEnvelope &message) {
  return encode_message(message);
}

std::optional<RequestEnvelope> decode_request(std::span<const std::uint8_t> bytes) {
  return decode_message<RequestEnvelope>(bytes, WireReader::PlainText::Any);
}
std::optional<ReportEnvelope> decode_report(std::span<const std::uint8_t> bytes) {
  return decode_message<ReportEnvelope>(bytes, WireReader::PlainText::MustBePrintable);
}

} // namespace outguard
