#include "guest/protocols/dns_name.h"

#include "guest/protocols/host_name.h"

namespace outguard::guest {

namespace {

constexpr std::size_t kMaxNameBytes = 255;
constexpr int kMaxPointers = 32;      ///< a name has at most 127 labels; no server nests pointers
constexpr std::size_t kMaxLabel = 63; ///< lengths above are pointers, or reserved (RFC 6891)

constexpr bool is_pointer(std::uint8_t length) {
  return (length & 0xc0) == 0xc0;
}

void append_label(std::span<const std::uint8_t> label, std::string &out) {
  const std::string_view text(reinterpret_cast<const char *>(label.data()), label.size());
  if (text.find('.') == text.npos && append_plain(text, out)) {
    return;
  }
  for (const std::uint8_t byte : label) {
    if (byte == '.' || byte == '\\') {
      out += '\\';
    }
    append_escaped(static_cast<std::uint8_t>(to_lower(static_cast<char>(byte))), out);
  }
}

} // namespace

DnsNameEnd read_dns_name(std::span<const std::uint8_t> message, ByteCursor &cursor,
                         std::string &out) {
  out.clear();
  ByteCursor at = cursor;
  std::size_t lowest = cursor.position(); // every pointer must lead before all it came from
  std::size_t name_bytes = 1;
  for (int pointers = 0;;) {
    const auto length = at.u8();
    if (!length) {
      return pointers == 0 ? DnsNameEnd::CutOff : DnsNameEnd::Malformed;
    }
    if (is_pointer(*length)) {
      const auto low = at.u8();
      if (!low) {
        return DnsNameEnd::CutOff;
      }
      if (pointers == 0) {
        cursor = at;
      }
      const auto target = static_cast<std::size_t>((*length & 0x3f) << 8 | *low);
      if (target < kDnsHeader || target >= lowest || ++pointers > kMaxPointers) {
        return DnsNameEnd::Malformed;
      }
      lowest = target;
      at = ByteCursor(message.subspan(target));
      continue;
    }
    if (*length > kMaxLabel) {
      return DnsNameEnd::Malformed;
    }
    if (*length == 0) {
      if (pointers == 0) {
        cursor = at;
      }
      return DnsNameEnd::Complete;
    }
    name_bytes += *length + std::size_t{1};
    if (name_bytes > kMaxNameBytes) {
      return DnsNameEnd::Malformed;
    }
    const auto label = at.take(*length);
    if (!label) {
      return pointers == 0 ? DnsNameEnd::CutOff : DnsNameEnd::Malformed;
    }
    if (!out.empty()) {
      out += '.';
    }
    append_label(*label, out);
  }
}

bool skip_dns_name(ByteCursor &cursor) {
  for (std::size_t passed = 0; passed <= kMaxNameBytes;) {
    const auto length = cursor.u8();
    if (!length) {
      return false;
    }
    if (is_pointer(*length)) {
      return cursor.skip(1);
    }
    if (*length == 0) {
      return true;
    }
    if (*length > kMaxLabel || !cursor.skip(*length)) {
      return false;
    }
    passed += *length + std::size_t{1};
  }
  return false;
}

} // namespace outguard::guest
