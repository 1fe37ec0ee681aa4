#include "guest/protocols/digest.h"

#include <array>
#include <memory>

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace outguard::guest {

namespace {

/// Lives as long as the program. No configuration file of the host's changes what is computed.
const EVP_MD *algorithm(DigestKind kind) {
  static const std::array<const EVP_MD *, 3> kFound = [] {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    return std::array<const EVP_MD *, 3>{EVP_MD_fetch(nullptr, "MD5", nullptr),
                                         EVP_MD_fetch(nullptr, "SHA1", nullptr),
                                         EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  }();
  return kFound[static_cast<std::size_t>(kind)];
}

struct FreeContext {
  void operator()(EVP_MD_CTX *context) const { EVP_MD_CTX_free(context); }
};

EVP_MD_CTX *context() {
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> own(EVP_MD_CTX_new());
  return own.get();
}

} // namespace

void prepare_digests() {
  for (const auto kind : {DigestKind::Md5, DigestKind::Sha1, DigestKind::Sha256}) {
    std::string unused;
    static_cast<void>(append_digest(kind, {}, unused));
  }
}

bool append_digest(DigestKind kind, std::span<const std::uint8_t> bytes, std::string &out) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  const EVP_MD *const wanted = algorithm(kind);
  if (wanted == nullptr || context() == nullptr ||
      EVP_DigestInit_ex2(context(), wanted, nullptr) != 1 ||
      EVP_DigestUpdate(context(), bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(context(), digest.data(), &length) != 1) {
    return false;
  }
  for (const std::uint8_t byte : std::span(digest).first(length)) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 0xf];
  }
  return true;
}

} // namespace outguard::guest
