#include "guest/linux/sha256.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace outguard::guest {
namespace {

/// Lives as long as the program. No configuration file of the host's changes what is computed.
const EVP_MD *algorithm() {
  static const EVP_MD *const found = [] {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    return EVP_MD_fetch(nullptr, "SHA256", nullptr);
  }();
  return found;
}

} // namespace

void Sha256::prepare() {
  Sha256 first;
  first.add({});
  static_cast<void>(first.finish());
}

void Sha256::Free::operator()(evp_md_ctx_st *context) const {
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  failed_ = context_ == nullptr || EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr) != 1;
}

void Sha256::add(std::span<const std::uint8_t> bytes) {
  failed_ = failed_ || EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1;
}

std::optional<Sha256::Digest> Sha256::finish() {
  Digest digest{};
  unsigned length = 0;
  if (failed_ || EVP_DigestFinal_ex(context_.get(), digest.data(), &length) != 1 ||
      length != digest.size()) {
    return std::nullopt;
  }
  return digest;
}

} // namespace outguard::guest
