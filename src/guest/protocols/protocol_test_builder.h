#pragma once
// Tests and fuzz seeds: DNS answers with any records, HTTP/2 frames, SSH key exchanges.

#include <cstdint>
#include <string_view>

#include "guest/testing/message_builder.h"

namespace outguard::guest {

[[nodiscard]] inline Bytes operator+(Bytes a, const Bytes &b) {
  for (const std::uint8_t byte : b) { // insert() trips g++ 12's false array-bounds warning here
    a.push_back(byte);
  }
  return a;
}

[[nodiscard]] inline Bytes number(std::uint64_t value, int width) {
  Bytes out;
  for (int i = width - 1; i >= 0; --i) {
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  return out;
}

/// Labels of `name`, without compression; a final "*" stands for a pointer to the question's name.
[[nodiscard]] inline Bytes dns_labels(std::string_view name) {
  Bytes out;
  while (!name.empty() && name != "*") {
    const auto dot = std::min(name.find('.'), name.size());
    out = out + number(dot, 1) + bytes_of(name.substr(0, dot));
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return out + (name == "*" ? Bytes{0xc0, 12} : Bytes{0});
}

/// A record of the question's name.
[[nodiscard]] inline Bytes dns_record(std::uint16_t type, const Bytes &data,
                                      std::uint16_t clazz = 1) {
  return Bytes{0xc0, 12} + number(type, 2) + number(clazz, 2) + number(300, 4) +
         number(data.size(), 2) + data;
}

/// A response: one question, and `records` as many as `count` says.
[[nodiscard]] inline Bytes dns_response(std::string_view name, const Bytes &records,
                                        std::uint16_t count) {
  auto message = dns_query(name) + records;
  message[2] = 0x81;
  message[3] = 0x80;
  message[6] = static_cast<std::uint8_t>(count >> 8);
  message[7] = static_cast<std::uint8_t>(count);
  return message;
}

/// One of each kind of record that is looked at, for the question "www.example".
[[nodiscard]] inline Bytes dns_all_answers() {
  const Bytes parameters = number(1, 2) + number(3, 2) + Bytes{2, 'h', '2'} + number(4, 2) +
                           number(8, 2) + Bytes{192, 0, 2, 3, 192, 0, 2, 4} + number(5, 2) +
                           number(2, 2) + Bytes{1, 2} + number(6, 2) + number(16, 2) +
                           Bytes{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6};
  const Bytes records = dns_record(5, dns_labels("Edge.*")) + dns_record(1, {192, 0, 2, 1}) +
                        dns_record(28, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}) +
                        dns_record(2, dns_labels("ns.example")) +
                        dns_record(12, dns_labels("ptr.example")) +
                        dns_record(15, number(10, 2) + dns_labels("mx.example")) +
                        dns_record(33, Bytes(6, 0) + dns_labels("srv.example")) +
                        dns_record(39, dns_labels("dname.example")) +
                        dns_record(65, number(1, 2) + dns_labels("svc.example") + parameters) +
                        dns_record(16, Bytes{3, 't', 'x', 't'});
  return dns_response("www.example", records, 10);
}

[[nodiscard]] inline Bytes http2_frame(std::uint8_t type, std::uint8_t flags, const Bytes &payload,
                                       std::uint32_t stream = 1) {
  return number(payload.size(), 3) + Bytes{type, flags} + number(stream, 4) + payload;
}

/// A field with a new name, remembered; no Huffman code.
[[nodiscard]] inline Bytes hpack_literal(std::string_view name, std::string_view value) {
  return Bytes{0x40} + number(name.size(), 1) + bytes_of(name) + number(value.size(), 1) +
         bytes_of(value);
}

/// The first block of RFC 7541, C.4.1: GET http://www.example.com/, with the Huffman code.
[[nodiscard]] inline Bytes hpack_first_request() {
  return {0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5,
          0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff};
}
/// C.4.3, behind C.4.2: the host out of the dynamic table, https, /index.html.
[[nodiscard]] inline Bytes hpack_second_request() {
  return {0x82, 0x86, 0x84, 0xbe, 0x58, 0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf};
}
[[nodiscard]] inline Bytes hpack_third_request() {
  return {0x82, 0x87, 0x85, 0xbf, 0x40, 0x88, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9,
          0x7d, 0x7f, 0x89, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf};
}

/// Settings; a request in one frame; one with priority, padding and a continuation; data; one more.
[[nodiscard]] inline Bytes http2_frames() {
  constexpr std::uint8_t kHeaders = 1;
  const auto second = hpack_second_request();
  const Bytes start(second.begin(), second.begin() + 5);
  const Bytes end(second.begin() + 5, second.end());
  return http2_frame(4, 0, Bytes(12, 0), 0) + http2_frame(kHeaders, 4, hpack_first_request()) +
         http2_frame(kHeaders, 0x28, Bytes{2} + Bytes(5, 0) + start + Bytes{0, 0}, 3) +
         http2_frame(9, 4, end, 3) + http2_frame(0, 1, bytes_of("data"), 3) +
         http2_frame(kHeaders, 5, hpack_third_request(), 5);
}

[[nodiscard]] inline Bytes ssh_packet(std::uint8_t type, const Bytes &body) {
  const Bytes payload = Bytes{4, type} + body + Bytes(4, 0);
  return number(payload.size(), 4) + payload;
}
[[nodiscard]] inline Bytes ssh_kex_init() {
  Bytes body(16, 0x77); // cookie
  for (const std::string_view list :
       {"kex-a,kex-b", "host", "aes-c", "aes-s", "mac-c", "mac-s", "zlib-c", "none", "", ""}) {
    body = body + number(list.size(), 4) + bytes_of(list);
  }
  return ssh_packet(20, body + Bytes(5, 0));
}

} // namespace outguard::guest
