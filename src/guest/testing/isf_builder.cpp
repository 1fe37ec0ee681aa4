#include "guest/testing/isf_builder.h"

#include <lzma.h>
#include <sys/mman.h>
#include <unistd.h>

namespace outguard::guest {
namespace {

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

void append(std::string &list, std::string_view name, const std::string &value) {
  list += (list.empty() ? "" : ",") + quoted(name) + ":" + value;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (at + i < bytes.size() ? static_cast<std::uint8_t>(bytes[at + i]) : 0);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += at + i > bytes.size() ? '=' : kDigits[group >> (18 - 6 * i) & 63];
    }
  }
  return text;
}

} // namespace

void IsfBuilder::add_base(std::string_view name, std::uint32_t size) {
  append(bases_, name,
         R"({"size":)" + std::to_string(size) +
             R"(,"signed":false,"kind":"int","endian":"little"})");
}

void IsfBuilder::add_struct(std::string_view name, std::uint32_t size,
                            const std::vector<Field> &fields) {
  std::string list;
  for (const Field &field : fields) {
    append(list, field.name,
           R"({"type":)" + field.type + R"(,"offset":)" + std::to_string(field.offset) +
               (field.unnamed ? R"(,"anonymous":true})" : "}"));
  }
  append(types_, name,
         R"({"size":)" + std::to_string(size) + R"(,"fields":{)" + list + R"(},"kind":"struct"})");
}

void IsfBuilder::add_enum(std::string_view name, std::string_view constant, std::int64_t value) {
  append(enums_, name,
         R"({"size":4,"base":"int","constants":{)" + quoted(constant) + ":" +
             std::to_string(value) + "}}");
}

void IsfBuilder::add_symbol(std::string_view name, std::uint64_t address) {
  append(symbols_, name,
         R"({"type":{"kind":"base","name":"void"},"address":)" + std::to_string(address) + "}");
}

void IsfBuilder::add_banner(std::uint64_t address, std::string_view text) {
  append(symbols_, "linux_banner",
         R"({"address":)" + std::to_string(address) + R"(,"constant_data":)" +
             quoted(base64(std::string(text) + '\0')) + "}");
}

std::string IsfBuilder::base(std::string_view name) {
  return R"({"kind":"base","name":)" + quoted(name) + "}";
}
std::string IsfBuilder::composite(std::string_view name) {
  return R"({"kind":"struct","name":)" + quoted(name) + "}";
}
std::string IsfBuilder::enumeration(std::string_view name) {
  return R"({"kind":"enum","name":)" + quoted(name) + "}";
}
std::string IsfBuilder::pointer(std::string_view target) {
  return R"({"kind":"pointer","subtype":)" + std::string(target) + "}";
}
std::string IsfBuilder::array(std::uint32_t count, std::string_view element) {
  return R"({"count":)" + std::to_string(count) + R"(,"kind":"array","subtype":)" +
         std::string(element) + "}";
}
std::string IsfBuilder::bits(int position, int length, std::string_view unit) {
  return R"({"bit_length":)" + std::to_string(length) + R"(,"bit_position":)" +
         std::to_string(position) + R"(,"kind":"bitfield","type":)" + std::string(unit) + "}";
}

std::string IsfBuilder::json() const {
  return R"({"metadata":{"linux":{"symbols":[{"kind":"dwarf","name":"vmlinux"}]},)"
         R"("producer":{"name":"test"},"format":"6.2.0"},"base_types":{)" +
         bases_ + R"(},"user_types":{)" + types_ + R"(},"enums":{)" + enums_ + R"(},"symbols":{)" +
         symbols_ + "}}";
}

std::string pack_xz(std::string_view bytes) {
  std::string packed(lzma_stream_buffer_bound(bytes.size()), '\0');
  std::size_t length = 0;
  const auto done = lzma_easy_buffer_encode(
      1, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t *>(bytes.data()),
      bytes.size(), reinterpret_cast<std::uint8_t *>(packed.data()), &length, packed.size());
  packed.resize(done == LZMA_OK ? length : 0);
  return packed;
}

Fd file_of(std::string_view bytes) {
  Fd file(::memfd_create("isf", MFD_CLOEXEC));
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written <= 0) {
      return {};
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return file;
}

} // namespace outguard::guest
