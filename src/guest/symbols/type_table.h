#pragma once
// Layouts of the kernel's own structures, out of the running kernel's BTF (or an ISF file, later).
// Every offset the walkers use comes from here. Immutable after construction.

#include <cstdint>
#include <optional>
#include <string_view>

#include "guest/bytes/fault.h"

namespace outguard::guest {

struct Member {
  std::uint32_t offset =
      0; ///< bytes from the start of the outermost structure (floor for bit fields)
  std::uint32_t size = 0; ///< bytes of the member's type; for a bit field, of its storage unit
  std::uint8_t bit_offset =
      0;                     ///< from the low bit of the storage unit at `offset`; bit fields only
  std::uint8_t bit_size = 0; ///< 0: not a bit field
};

class TypeTable {
public:
  virtual ~TypeTable() = default;
  /// `path` is a member name, or several joined by dots through embedded structures and unions
  /// ("__sk_common.skc_portpair"); unnamed structures and unions are looked through at every level.
  /// NotFound when the type or member does not exist in this kernel.
  [[nodiscard]] virtual Result<Member> member(std::string_view type,
                                              std::string_view path) const = 0;
  /// sizeof(struct or union `type`), bytes.
  [[nodiscard]] virtual Result<std::uint32_t> size_of(std::string_view type) const = 0;
  /// Value of an enumerator anywhere in the kernel's types ("PIDTYPE_TGID").
  [[nodiscard]] virtual std::optional<std::int64_t> enumerator(std::string_view name) const = 0;
};

} // namespace outguard::guest
