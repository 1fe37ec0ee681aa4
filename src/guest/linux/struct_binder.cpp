#include "guest/linux/struct_binder.h"

#include <algorithm>

namespace outguard::guest {
namespace {

constexpr std::uint32_t kPointerBytes = 8;
/// Members nearer to one another than this are one part: four cache lines cost no more than a read.
constexpr std::uint32_t kWorthSkipping = 256;

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

bool Extent::is_copied(const Member &member) const {
  const auto holds = [&member](const auto &stretch) {
    return stretch.begin <= member.offset && member.offset + member.size <= stretch.end;
  };
  return holds(*this) &&
         (part_count == 0 || std::any_of(parts.begin(), parts.begin() + part_count, holds));
}

void StructBinder::include(const Member &member) {
  included_.push_back({member.offset, member.offset + member.size});
}

Extent StructBinder::extent() const {
  std::vector<Extent::Part> sorted = included_;
  std::ranges::sort(sorted, {}, &Extent::Part::begin);
  Extent extent;
  for (const Extent::Part &part : sorted) {
    const bool is_first = extent.part_count == 0;
    if (is_first || (part.begin > extent.end && part.begin - extent.end >= kWorthSkipping &&
                     extent.part_count < Extent::kMostParts)) {
      extent.parts.at(extent.part_count++) = part;
    }
    extent.begin = is_first ? part.begin : extent.begin;
    extent.end = std::max(extent.end, part.end);
    extent.parts.at(extent.part_count - 1).end = extent.end;
  }
  return extent;
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

std::optional<Member> StructBinder::optional_member(std::string_view path, std::uint32_t size) {
  const auto member = optional_place(path, size);
  if (member) {
    include(*member);
  }
  return member;
}

} // namespace outguard::guest
