#include "store/sha256_stream.h"

#include <array>

#include <openssl/evp.h>

#include "store/process_detail_json.h"

namespace outguard::store {

void Sha256Stream::Free::operator()(evp_md_ctx_st *context) const {
  EVP_MD_CTX_free(context);
}

Sha256Stream::Sha256Stream()
    : context_(EVP_MD_CTX_new()),
      good_(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1) {}

void Sha256Stream::add(std::string_view bytes) {
  good_ = good_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
}

std::string Sha256Stream::finish() {
  std::array<std::uint8_t, 32> digest{};
  return good_ && EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1 ? hex(digest)
                                                                                  : "";
}

} // namespace outguard::store
