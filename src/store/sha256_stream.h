#pragma once
// SHA-256 of bytes that come in pieces, as 64 hexadecimal digits. One thread at a time.

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st; // OpenSSL's EVP_MD_CTX

namespace outguard::store {

class Sha256Stream {
public:
  Sha256Stream();
  void add(std::string_view bytes);
  /// Call once. Empty, which equals no hash: OpenSSL has no memory.
  [[nodiscard]] std::string finish();

private:
  struct Free {
    void operator()(evp_md_ctx_st *context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool good_;
};

} // namespace outguard::store
