#include "guest/linux/struct_binder.h"

#include <algorithm>

namespace outguard::guest {
namespace {

constexpr std::uint32_t kPointerBytes = 8;

bool is_integer_size(std::uint32_t size) {
  return size == 1 || size == 2 || size == 4 || size == kPointerBytes;
}

} // namespace

std::optional<Member> StructBinder::find(std::string_view path) const {
  const auto member = types_.member(type_, path);
  if (!member || member->size > kMaxObjectBytes ||
      member->offset > kMaxObjectBytes - member->size) {
    return std::nullopt;
  }
  return *member;
}

void StructBinder::miss(std::string_view path) {
  if (missing_.empty()) {
    missing_ = std::string(type_) + "." + std::string(path);
  }
}

void StructBinder::include(const Member &member) {
  if (extent_.size() == 0) {
    extent_ = {member.offset, member.offset + member.size};
  } else {
    extent_.begin = std::min(extent_.begin, member.offset);
    extent_.end = std::max(extent_.end, member.offset + member.size);
  }
}

Member StructBinder::number(std::initializer_list<std::string_view> paths) {
  for (const std::string_view path : paths) {
    const auto member = find(path);
    if (member && is_integer_size(member->size) && member->bit_size < 64 &&
        member->bit_offset + member->bit_size <= member->size * 8) {
      include(*member);
      return *member;
    }
  }
  miss(*paths.begin());
  return {};
}

Member StructBinder::pointer(std::string_view path) {
  return bytes(path, kPointerBytes);
}

Member StructBinder::bytes(std::string_view path, std::uint32_t size) {
  const auto member = find(path);
  if (!member || member->size != size || member->bit_size != 0) {
    miss(path);
    return {};
  }
  include(*member);
  return *member;
}

Member StructBinder::place(std::string_view path) {
  const auto member = find(path);
  if (!member) {
    miss(path);
    return {};
  }
  return *member;
}

std::optional<Member> StructBinder::optional_place(std::string_view path, std::uint32_t size) {
  const auto member = find(path);
  return member && (size == 0 || member->size == size) ? member : std::nullopt;
}

} // namespace outguard::guest
