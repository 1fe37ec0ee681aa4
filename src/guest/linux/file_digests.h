#pragma once
// SHA-256, SHA-1 and MD5 of bytes that come in pieces, in one pass, by OpenSSL. What lists files
// lists them by any of the three. One thread at a time.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

struct evp_md_ctx_st; // OpenSSL's EVP_MD_CTX

namespace outguard::guest {

class FileDigests {
public:
  struct Result {
    std::array<std::uint8_t, 32> sha256{};
    /// nullopt: this host's OpenSSL offers it not.
    std::optional<std::array<std::uint8_t, 20>> sha1;
    std::optional<std::array<std::uint8_t, 16>> md5;
  };

  /// Loads OpenSSL's implementations, once. Call before a sandbox is entered: whether OpenSSL opens
  /// files when it is used first is its own business.
  static void prepare();

  FileDigests();

  void add(std::span<const std::uint8_t> bytes);
  /// Call once, at the end. nullopt: OpenSSL failed on the way (out of memory).
  [[nodiscard]] std::optional<Result> finish();

private:
  struct Free {
    void operator()(evp_md_ctx_st *context) const;
  };
  static constexpr std::size_t kAlgorithms = 3; ///< in the order of Result
  std::array<std::unique_ptr<evp_md_ctx_st, Free>, kAlgorithms> contexts_; ///< null: not offered
  bool failed_ = false;
};

} // namespace outguard::guest
