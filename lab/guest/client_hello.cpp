#include "client_hello.h"

#include <cstdint>
#include <initializer_list>

#include <sys/random.h>

namespace lab {
namespace {

std::string big_endian(size_t value, int width) {
  std::string bytes;
  for (int shift = (width - 1) * 8; shift >= 0; shift -= 8)
    bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}

// Length in `width` bytes, then the content.
std::string vector_of(int width, const std::string &content) {
  return big_endian(content.size(), width) + content;
}

std::string list_of_16(std::initializer_list<unsigned> values) {
  std::string bytes;
  for (const unsigned value : values)
    bytes += big_endian(value, 2);
  return bytes;
}

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  [[maybe_unused]] const ssize_t ignored = getrandom(bytes.data(), count, 0);
  return bytes;
}

std::string extension(unsigned type, const std::string &content) {
  return big_endian(type, 2) + vector_of(2, content);
}

} // namespace

std::string client_hello(const std::string &server_name) {
  const std::string extensions =
      extension(0, vector_of(2, '\0' + vector_of(2, server_name))) +      // server_name
      extension(11, vector_of(1, std::string(1, '\0'))) +                 // ec_point_formats
      extension(10, vector_of(2, list_of_16({0x001d, 0x0017, 0x0018}))) + // supported_groups
      extension(16, vector_of(2, vector_of(1, "h2") + vector_of(1, "http/1.1"))) + // ALPN
      extension(23, "") + // extended_master_secret
      extension(13, vector_of(2, list_of_16({0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501}))) +
      extension(43, vector_of(1, list_of_16({0x0304, 0x0303}))) + // supported_versions
      extension(45, vector_of(1, "\x01")) +                       // psk_key_exchange_modes
      extension(51,
                vector_of(2, list_of_16({0x001d}) + vector_of(2, random_bytes(32)))); // key_share
  const std::string body =
      "\x03\x03" + random_bytes(32) + vector_of(1, random_bytes(32)) +
      vector_of(2, list_of_16({0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030})) +
      vector_of(1, std::string(1, '\0')) + vector_of(2, extensions);
  return std::string("\x16\x03\x01") + vector_of(2, "\x01" + vector_of(3, body));
}

} // namespace lab
