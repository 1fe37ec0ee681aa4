#pragma once
// SHA-256 of bytes that come in pieces, by OpenSSL. One thread at a time.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

struct evp_md_ctx_st; // OpenSSL's EVP_MD_CTX

namespace outguard::guest {

class Sha256 {
public:
  using Digest = std::array<std::uint8_t, 32>;

  /// Loads OpenSSL's implementation, once. Call before a sandbox is entered: whether OpenSSL opens
  /// files when it is used first is its own business.
  static void prepare();

  Sha256();

  void add(std::span<const std::uint8_t> bytes);
  /// Call once, at the end. nullopt: OpenSSL failed on the way (out of memory).
  [[nodiscard]] std::optional<Digest> finish();

private:
  struct Free {
    void operator()(evp_md_ctx_st *context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool failed_ = false;
};

} // namespace outguard::guest
