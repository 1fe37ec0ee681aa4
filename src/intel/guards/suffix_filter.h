#pragma once
// Says "no" of almost every name that is no public suffix, so that libpsl is asked of few. Made at
// build time of the very list that libpsl was made of (tools/make_suffix_filter); with a libpsl of
// another list it says nothing. ASCII without a zero. Pure functions, any thread.

#include <string_view>

namespace outguard::intel {

/// False: libpsl says no too.
[[nodiscard]] bool can_be_public_suffix(std::string_view name);

/// The list in libpsl is the one the filter knows.
[[nodiscard]] bool has_suffix_filter();

} // namespace outguard::intel
