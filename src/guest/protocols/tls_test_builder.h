#pragma once
// Tests and fuzz seeds: ClientHellos down to each number, and a server's flight. Deterministic.

#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "guest/testing/packet_builder.h"

namespace outguard::guest {

using Numbers = std::vector<std::uint16_t>;

struct HelloParts {
  std::uint16_t version = 0x0303;
  Numbers ciphers{};
  std::vector<std::pair<std::uint16_t, Bytes>> extensions{};
};

inline Bytes operator+(Bytes a, const Bytes &b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// `value` in `width` bytes, big-endian.
inline Bytes number(std::size_t value, int width) {
  Bytes out;
  for (int i = width - 1; i >= 0; --i) {
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  return out;
}
/// With its length before it, in `width` bytes.
inline Bytes counted(const Bytes &bytes, int width) {
  return number(bytes.size(), width) + bytes;
}
inline Bytes numbers(const Numbers &list) {
  Bytes out;
  for (const auto value : list) {
    out = std::move(out) + number(value, 2);
  }
  return out;
}

inline std::pair<std::uint16_t, Bytes> sni(std::string_view name) {
  return {std::uint16_t{0}, counted(Bytes{0} + counted(bytes_of(name), 2), 2)};
}
inline std::pair<std::uint16_t, Bytes> alpn(std::initializer_list<std::string_view> protocols) {
  Bytes list;
  for (const auto protocol : protocols) {
    list = std::move(list) + counted(bytes_of(protocol), 1);
  }
  return {std::uint16_t{16}, counted(list, 2)};
}
inline std::pair<std::uint16_t, Bytes> groups(const Numbers &list) {
  return {std::uint16_t{10}, counted(numbers(list), 2)};
}
inline std::pair<std::uint16_t, Bytes> signatures(const Numbers &list) {
  return {std::uint16_t{13}, counted(numbers(list), 2)};
}
inline std::pair<std::uint16_t, Bytes> versions(const Numbers &list) {
  return {std::uint16_t{43}, counted(numbers(list), 1)};
}

inline Bytes hello_body(const HelloParts &parts) {
  Bytes extensions;
  for (const auto &[type, body] : parts.extensions) {
    extensions = std::move(extensions) + number(type, 2) + counted(body, 2);
  }
  return number(parts.version, 2) + Bytes(32, 0x11) + counted(Bytes(32, 0x22), 1) +
         counted(numbers(parts.ciphers), 2) + Bytes{1, 0} +
         (parts.extensions.empty() ? Bytes{} : counted(extensions, 2));
}
inline Bytes message(std::uint8_t type, const Bytes &body) {
  return Bytes{type} + counted(body, 3);
}
inline Bytes in_records(const Bytes &messages, std::size_t size = 16384) {
  Bytes out;
  for (std::size_t at = 0; at < messages.size(); at += size) {
    const auto end = std::min(messages.size(), at + size);
    out = std::move(out) + Bytes{22, 3, 3} +
          counted(Bytes(messages.begin() + static_cast<std::ptrdiff_t>(at),
                        messages.begin() + static_cast<std::ptrdiff_t>(end)),
                  2);
  }
  return out;
}

/// ServerHello and Certificate of TLS 1.2.
inline Bytes server_messages(const std::vector<Bytes> &chain) {
  Bytes list;
  for (const auto &der : chain) {
    list = std::move(list) + counted(der, 3);
  }
  const auto renegotiation = Bytes{0, 5, 0xff, 1, 0, 1, 0};
  return message(2, number(0x0303, 2) + Bytes(32, 0x33) + Bytes{0, 0xc0, 0x2f, 0} + renegotiation) +
         message(11, counted(list, 3));
}

} // namespace outguard::guest
