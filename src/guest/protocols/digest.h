#pragma once
// The digests that fingerprints and certificates are named by, as lower-case hexadecimal text, by
// OpenSSL. One thread at a time a context; no heap once a thread has used it.

#include <cstdint>
#include <span>
#include <string>

namespace outguard::guest {

enum class DigestKind : std::uint8_t { Md5, Sha1, Sha256 };

/// Loads OpenSSL's implementations. Call before a sandbox is entered: whether OpenSSL opens files
/// when it is used first is its own business.
void prepare_digests();

/// Appends the digest of `bytes` to `out`; false, and nothing appended: OpenSSL failed (no memory,
/// or MD5 is not offered by it).
[[nodiscard]] bool append_digest(DigestKind kind, std::span<const std::uint8_t> bytes,
                                 std::string &out);

} // namespace outguard::guest
