#pragma once
// Looks up the members of one kernel structure once, at attach, and learns which stretch of the
// structure is worth copying. The first member that this kernel lacks is remembered by name.
// Borrows the type table. Types come from the guest: an implausible offset counts as missing.

#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest/symbols/type_table.h"

namespace outguard::guest {

/// The bytes [begin, end) of a structure that hold all its bound members. Where those lie far
/// apart, as in task_struct, only the parts that hold some are copied.
struct Extent {
  struct Part {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  static constexpr std::size_t kMostParts = 6;

  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::array<Part, kMostParts> parts{}; ///< in order, apart from one another
  std::uint32_t part_count = 0;         ///< 0: all of it is one part

  [[nodiscard]] std::uint32_t size() const { return end - begin; }
  [[nodiscard]] bool is_copied(const Member &member) const;
};

/// The largest structure bound is struct net, about 5 KiB (task_struct: 9 KiB, its first 4 KiB
/// used).
inline constexpr std::uint32_t kMaxObjectBytes = 32768;

class StructBinder {
public:
  /// `missing` is shared by all structures of a layout; empty as long as nothing was missing.
  StructBinder(const TypeTable &types, std::string_view type, std::string &missing)
      : types_(types), type_(type), missing_(missing) {}

  /// An integer of 1, 2, 4 or 8 bytes, or a bit field; the first of `paths` that this kernel has.
  Member number(std::initializer_list<std::string_view> paths);
  Member number(std::string_view path) { return number({path}); }
  Member pointer(std::string_view path);
  /// Exactly `size` bytes, such as an address or a list_head.
  Member bytes(std::string_view path, std::uint32_t size);
  /// Where a member lies and how long it is; not made part of the extent.
  Member place(std::string_view path);
  /// The same for a member that only some kernels have; must then have `size` bytes (0: any).
  std::optional<Member> optional_place(std::string_view path, std::uint32_t size = 0);
  /// The same, and part of the extent where it is there.
  std::optional<Member> optional_member(std::string_view path, std::uint32_t size = 0);

  /// Makes a member part of the extent.
  void include(const Member &member);
  [[nodiscard]] Extent extent() const;

private:
  [[nodiscard]] std::optional<Member> find(std::string_view path) const;
  void miss(std::string_view path);

  const TypeTable &types_;
  std::string_view type_;
  std::string &missing_;
  std::vector<Extent::Part> included_;
};

} // namespace outguard::guest
