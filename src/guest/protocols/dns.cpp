#include "guest/protocols/dns.h"

#include <optional>

#include "guest/bytes/byte_cursor.h"
#include "guest/protocols/host_name.h"

namespace outguard::guest {

namespace {

constexpr std::size_t kHeader = 12;
constexpr std::size_t kMaxNameBytes = 255;
constexpr int kMaxPointers = 32; ///< a name has at most 127 labels; no server nests pointers
constexpr std::uint16_t kMaxQuestions = 32; ///< one in practice, mDNS asks several

struct Header {
  bool response = false;
  bool plausible = false;
  std::uint16_t questions = 0;
  std::uint32_t records = 0;
};

std::optional<Header> read_header(ByteCursor &cursor) {
  if (cursor.remaining() < kHeader || !cursor.skip(2)) {
    return std::nullopt;
  }
  const std::uint16_t flags = *cursor.be16();
  Header header;
  header.response = (flags & 0x8000) != 0;
  header.questions = *cursor.be16();
  const std::uint16_t answers = *cursor.be16();
  const std::uint16_t authorities = *cursor.be16();
  const std::uint16_t additional = *cursor.be16();
  header.records = std::uint32_t{answers} + authorities + additional;
  const bool standard_query = (flags & 0x7840) == 0; // opcode 0, Z clear
  const bool counts =
      header.response ? header.records <= 512 : answers == 0 && authorities == 0 && additional <= 2;
  header.plausible = standard_query && counts && header.questions == 1 && (flags & 0x000f) <= 10;
  return header;
}

enum class NameEnd : std::uint8_t { Complete, CutOff, Malformed };

void append_label(std::span<const std::uint8_t> label, std::string &out) {
  for (const std::uint8_t byte : label) {
    if (byte == '.' || byte == '\\') {
      out += '\\';
    }
    append_escaped(static_cast<std::uint8_t>(to_lower(static_cast<char>(byte))), out);
  }
}

/// Reads the name at the cursor into `out` and moves the cursor behind it.
NameEnd read_name(std::span<const std::uint8_t> message, ByteCursor &cursor, std::string &out) {
  out.clear();
  ByteCursor at = cursor;
  std::size_t base = 0;                   // of `at` within the message
  std::size_t lowest = cursor.position(); // every pointer must lead before all it came from
  std::size_t name_bytes = 1;
  for (int pointers = 0;;) {
    const auto length = at.u8();
    if (!length) {
      return pointers == 0 ? NameEnd::CutOff : NameEnd::Malformed;
    }
    if ((*length & 0xc0) == 0xc0) {
      const auto low = at.u8();
      if (!low) {
        return NameEnd::CutOff;
      }
      if (pointers == 0) {
        cursor = at;
      }
      const auto target = static_cast<std::size_t>((*length & 0x3f) << 8 | *low);
      if (target < kHeader || target >= lowest || ++pointers > kMaxPointers) {
        return NameEnd::Malformed;
      }
      lowest = base = target;
      at = ByteCursor(message.subspan(target));
      continue;
    }
    if (*length > 63) { // 01 and 10 are reserved (RFC 6891)
      return NameEnd::Malformed;
    }
    if (*length == 0) {
      if (pointers == 0) {
        cursor = at;
      }
      return NameEnd::Complete;
    }
    name_bytes += *length + std::size_t{1};
    if (name_bytes > kMaxNameBytes) {
      return NameEnd::Malformed;
    }
    const auto label = at.take(*length);
    if (!label) {
      return pointers == 0 ? NameEnd::CutOff : NameEnd::Malformed;
    }
    if (!out.empty()) {
      out += '.';
    }
    append_label(*label, out);
  }
}

bool is_question_class(std::uint16_t value) {
  const std::uint16_t without_unicast_bit = value & 0x7fff; // mDNS, RFC 6762
  return without_unicast_bit == 1 || without_unicast_bit == 3 || without_unicast_bit == 255;
}

} // namespace

DnsLook look_at_dns(std::span<const std::uint8_t> message, DnsStrictness strictness, DnsNames names,
                    std::string &scratch, ObservableSink &sink) {
  const bool strict = strictness == DnsStrictness::AnyPort;
  ByteCursor cursor(message);
  const auto header = read_header(cursor);
  if (!header || (strict && !header->plausible)) {
    return DnsLook::NotDns;
  }
  const bool wanted = !header->response || names == DnsNames::OfQueriesAndAnswers;
  for (std::uint16_t i = 0; i < header->questions && i < kMaxQuestions; ++i) {
    const NameEnd end = read_name(message, cursor, scratch);
    if (end != NameEnd::Complete) {
      const bool cut = end == NameEnd::CutOff && !strict;
      return cut ? DnsLook::Truncated : i == 0 ? DnsLook::NotDns : DnsLook::Message;
    }
    const auto type = cursor.be16();
    const auto clazz = cursor.be16();
    if (!type || !clazz) {
      return strict ? DnsLook::NotDns : DnsLook::Truncated;
    }
    const HostForm form = form_of(scratch);
    if (strict && (form == HostForm::Odd || *type == 0 || !is_question_class(*clazz) ||
                   (header->records == 0 && !cursor.at_end()))) {
      return DnsLook::NotDns;
    }
    if (wanted && !scratch.empty()) {
      sink.observe({ObservableKind::DnsName, form, scratch});
    }
  }
  return DnsLook::Message;
}

} // namespace outguard::guest
