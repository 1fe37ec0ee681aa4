#pragma once
// What a guest cannot be asked for because its kernel's types or symbols do not tell: every part
// that is bound optionally, with the member that it lacks. Asked once, at attach.

#include <string>
#include <vector>

#include "guest/linux/linux_layout.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

/// "credentials: the kernel lacks cred.cap_bset", ...; empty: there is nothing missing.
[[nodiscard]] std::vector<std::string>
feature_gaps(const TypeTable &types, const SymbolTable &symbols, const LinuxLayout &layout);

} // namespace outguard::guest
