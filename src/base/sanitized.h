#pragma once
// For tests of sandboxes: a sanitizer's runtime needs system calls that they forbid.

namespace outguard {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
inline constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
inline constexpr bool kSanitized = false;
#endif

} // namespace outguard
