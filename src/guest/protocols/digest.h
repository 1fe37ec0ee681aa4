#pragma once
// The digests that fingerprints and certificates are named by, as lower-case hexadecimal text, by
// OpenSSL. One thread at a time a context; no heap once a thread has used it.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

struct evp_md_ctx_st; // OpenSSL's EVP_MD_CTX

namespace outguard::guest {

enum class DigestKind : std::uint8_t { Md5, Sha1, Sha256 };

/// Loads OpenSSL's implementations. Call before a sandbox is entered: whether OpenSSL opens files
/// when it is used first is its own business.
void prepare_digests();

/// Appends the digest of `bytes` to `out`; false, and nothing appended: OpenSSL failed (no memory,
/// or MD5 is not offered by it).
[[nodiscard]] bool append_digest(DigestKind kind, std::span<const std::uint8_t> bytes,
                                 std::string &out);

/// Of bytes that come in pieces, with a context of its own; used again after each finish().
class RunningDigest {
public:
  explicit RunningDigest(DigestKind kind);
  void add(std::span<const std::uint8_t> bytes);
  /// As append_digest(), of everything added since the last call.
  [[nodiscard]] bool finish(std::string &out);

private:
  struct Free {
    void operator()(evp_md_ctx_st *context) const;
  };
  void begin();

  DigestKind kind_;
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool failed_ = false;
};

} // namespace outguard::guest
