#pragma once
// The kernel's own symbol names and addresses, out of the running kernel's kallsyms tables.
// Owns its strings. Immutable after construction.

#include <optional>
#include <string_view>

#include "guest/bytes/address.h"

namespace outguard::guest {

class SymbolTable {
public:
  virtual ~SymbolTable() = default;
  /// Exact name, without module suffix. When a name stands several times (static functions), the
  /// first in table order. nullopt: this kernel has no such symbol.
  [[nodiscard]] virtual std::optional<GuestVirtual> find(std::string_view name) const = 0;
};

} // namespace outguard::guest
