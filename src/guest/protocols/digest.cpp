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

/// One a kind: to change the kind of one would cost an allocation each time.
EVP_MD_CTX *shared_context(DigestKind kind) {
  thread_local std::array<std::unique_ptr<EVP_MD_CTX, FreeContext>, 3> own;
  auto &context = own[static_cast<std::size_t>(kind)];
  if (context == nullptr) {
    context.reset(EVP_MD_CTX_new());
  }
  return context.get();
}

bool append_final(EVP_MD_CTX *context, std::string &out) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned length = 0;
  if (EVP_DigestFinal_ex(context, digest.data(), &length) != 1) {
    return false;
  }
  std::array<char, std::size_t{2} * EVP_MAX_MD_SIZE> text;
  for (std::size_t i = 0; i < length; ++i) {
    text[2 * i] = kDigits[digest[i] >> 4];
    text[2 * i + 1] = kDigits[digest[i] & 0xf];
  }
  out.append(text.data(), 2 * std::size_t{length});
  return true;
}

} // namespace

void prepare_digests() {
  for (const auto kind : {DigestKind::Md5, DigestKind::Sha1, DigestKind::Sha256}) {
    std::string unused;
    static_cast<void>(append_digest(kind, {}, unused));
  }
}

bool append_digest(DigestKind kind, std::span<const std::uint8_t> bytes, std::string &out) {
  const EVP_MD *const wanted = algorithm(kind);
  EVP_MD_CTX *const context = shared_context(kind);
  return wanted != nullptr && context != nullptr &&
         EVP_DigestInit_ex2(context, wanted, nullptr) == 1 &&
         EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1 && append_final(context, out);
}

RunningDigest::RunningDigest(DigestKind kind) : kind_(kind), context_(EVP_MD_CTX_new()) {
  begin();
}

void RunningDigest::Free::operator()(evp_md_ctx_st *context) const {
  EVP_MD_CTX_free(context);
}

void RunningDigest::begin() {
  const EVP_MD *const wanted = algorithm(kind_);
  failed_ = wanted == nullptr || context_ == nullptr ||
            EVP_DigestInit_ex2(context_.get(), wanted, nullptr) != 1;
}

void RunningDigest::add(std::span<const std::uint8_t> bytes) {
  failed_ = failed_ || EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1;
}

bool RunningDigest::finish(std::string &out) {
  const bool good = !failed_ && append_final(context_.get(), out);
  begin();
  return good;
}

} // namespace outguard::guest
