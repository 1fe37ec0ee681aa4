#include "guest/protocols/dns_name.h"

#include <array>
#include <cstring>

#include "guest/protocols/host_name.h"

namespace outguard::guest {

namespace {

constexpr std::size_t kMaxNameBytes = 255;
constexpr int kMaxPointers = 32;      ///< a name has at most 127 labels; no server nests pointers
constexpr std::size_t kMaxLabel = 63; ///< lengths above are pointers, or reserved (RFC 6891)

constexpr bool is_pointer(std::uint8_t length) {
  return (length & 0xc0) == 0xc0;
}

void append_escaped_label(std::span<const std::uint8_t> label, std::string &out) {
  for (const std::uint8_t byte : label) {
    if (byte == '.' || byte == '\\') {
      out += '\\';
    }
    append_escaped(static_cast<std::uint8_t>(to_lower(static_cast<char>(byte))), out);
  }
}

/// Calls `take` with each label, and moves the cursor behind the name when it is complete.
template <class Take>
DnsNameEnd walk_labels(std::span<const std::uint8_t> message, ByteCursor &cursor, Take &&take) {
  std::size_t at = cursor.position();
  std::size_t end = at + cursor.remaining(); // of what `at` may lead to
  std::size_t lowest = at;                   // every pointer must lead before all it came from
  std::size_t name_bytes = 1;
  std::size_t behind = 0; // the name; known from the first pointer on
  const auto cut_off = [&] { return behind == 0 ? DnsNameEnd::CutOff : DnsNameEnd::Malformed; };
  for (int pointers = 0;;) {
    if (at >= end) {
      return cut_off();
    }
    const std::size_t length = message[at++];
    if (is_pointer(static_cast<std::uint8_t>(length))) {
      if (at >= end) {
        return DnsNameEnd::CutOff;
      }
      const std::size_t target = (length & 0x3f) << 8 | message[at++];
      behind = behind == 0 ? at : behind;
      if (target < kDnsHeader || target >= lowest || ++pointers > kMaxPointers) {
        return DnsNameEnd::Malformed;
      }
      lowest = at = target;
      end = message.size();
      continue;
    }
    if (length > kMaxLabel) {
      return DnsNameEnd::Malformed;
    }
    if (length == 0) {
      (void)cursor.skip((behind == 0 ? at : behind) - cursor.position());
      return DnsNameEnd::Complete;
    }
    name_bytes += length + 1;
    if (name_bytes > kMaxNameBytes) {
      return DnsNameEnd::Malformed;
    }
    if (length > end - at) {
      return cut_off();
    }
    take(message.subspan(at, length));
    at += length;
  }
}

} // namespace

DnsNameEnd read_dns_name(std::span<const std::uint8_t> message, ByteCursor &cursor,
                         std::string &out) {
  out.clear();
  ByteCursor again = cursor;
  std::array<char, kMaxNameBytes> raw; // labels with dots between them
  std::size_t size = 0;
  std::size_t labels = 0;
  const DnsNameEnd end = walk_labels(message, cursor, [&](std::span<const std::uint8_t> label) {
    if (labels++ > 0) {
      raw[size++] = '.';
    }
    std::memcpy(raw.data() + size, label.data(), label.size());
    size += label.size();
  });
  if (end != DnsNameEnd::Complete || labels == 0) {
    return end;
  }
  if (append_plain({raw.data(), size}, out) == labels - 1) { // else a label has a dot within
    return end;
  }
  out.clear();
  return walk_labels(message, again, [&](std::span<const std::uint8_t> label) {
    out += out.empty() ? "" : ".";
    append_escaped_label(label, out);
  });
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
