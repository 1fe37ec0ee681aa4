#include "guest/testing/btf_builder.h"

#include <algorithm>

namespace outguard::guest {
namespace {

constexpr std::uint32_t kHeaderBytes = 24;

std::uint32_t info(BtfKind kind, std::size_t elements, bool flag = false) {
  return static_cast<std::uint32_t>(kind) << 24 | static_cast<std::uint32_t>(elements) |
         (flag ? 1U << 31 : 0);
}

} // namespace

void BtfBuilder::word(std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) {
    types_.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

std::uint32_t BtfBuilder::string(std::string_view text) {
  if (text.empty()) {
    return 0;
  }
  const auto offset = static_cast<std::uint32_t>(strings_.size());
  strings_ += text;
  strings_ += '\0';
  return offset;
}

std::uint32_t BtfBuilder::add_raw(std::uint32_t name, std::uint32_t type_info,
                                  std::uint32_t size_or_type,
                                  const std::vector<std::uint32_t> &extra) {
  word(name);
  word(type_info);
  word(size_or_type);
  for (const std::uint32_t value : extra) {
    word(value);
  }
  return next_id_++;
}

std::uint32_t BtfBuilder::add_int(std::string_view name, std::uint32_t size) {
  return add_raw(string(name), info(BtfKind::Int, 0), size, {size * 8});
}

std::uint32_t BtfBuilder::add_array(std::uint32_t element, std::uint32_t count) {
  return add_raw(0, info(BtfKind::Array, 0), 0, {element, element, count});
}

std::uint32_t BtfBuilder::add_reference(BtfKind kind, std::string_view name, std::uint32_t type) {
  return add_raw(string(name), info(kind, 0), type, {});
}

std::uint32_t BtfBuilder::add_composite(BtfKind kind, std::string_view name, std::uint32_t size,
                                        const std::vector<MemberOf> &members) {
  const bool bit_fields = std::any_of(members.begin(), members.end(),
                                      [](const MemberOf &member) { return member.bit_size != 0; });
  std::vector<std::uint32_t> extra;
  for (const MemberOf &member : members) {
    extra.push_back(string(member.name));
    extra.push_back(member.type);
    extra.push_back(member.bit_offset | std::uint32_t{member.bit_size} << 24);
  }
  return add_raw(string(name), info(kind, members.size(), bit_fields), size, extra);
}

std::uint32_t BtfBuilder::add_enum(std::string_view name, const std::vector<Enumerator> &values,
                                   bool is_signed) {
  std::vector<std::uint32_t> extra;
  for (const Enumerator &each : values) {
    extra.push_back(string(each.name));
    extra.push_back(static_cast<std::uint32_t>(each.value));
  }
  return add_raw(string(name), info(BtfKind::Enum, values.size(), is_signed), 4, extra);
}

std::uint32_t BtfBuilder::add_enum64(std::string_view name, const std::vector<Enumerator> &values) {
  std::vector<std::uint32_t> extra;
  for (const Enumerator &each : values) {
    extra.push_back(string(each.name));
    extra.push_back(static_cast<std::uint32_t>(each.value));
    extra.push_back(static_cast<std::uint32_t>(static_cast<std::uint64_t>(each.value) >> 32));
  }
  return add_raw(string(name), info(BtfKind::Enum64, values.size()), 8, extra);
}

std::vector<std::uint8_t> BtfBuilder::build() const {
  std::vector<std::uint8_t> bytes{0x9f, 0xeb, 1, 0};
  const auto append = [&bytes](std::size_t value) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<std::uint8_t>(value >> shift));
    }
  };
  append(kHeaderBytes);
  append(0);
  append(types_.size());
  append(types_.size());
  append(strings_.size());
  bytes.insert(bytes.end(), types_.begin(), types_.end());
  bytes.insert(bytes.end(), strings_.begin(), strings_.end());
  return bytes;
}

} // namespace outguard::guest
