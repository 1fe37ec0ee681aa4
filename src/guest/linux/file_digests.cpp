#include "guest/linux/file_digests.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace outguard::guest {
namespace {

using Algorithms = std::array<const EVP_MD *, 3>;

/// Live as long as the program. No configuration file of the host's changes what is computed.
const Algorithms &algorithms() {
  static const Algorithms found = [] {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    return Algorithms{EVP_MD_fetch(nullptr, "SHA256", nullptr),
                      EVP_MD_fetch(nullptr, "SHA1", nullptr),
                      EVP_MD_fetch(nullptr, "MD5", nullptr)};
  }();
  return found;
}

template <std::size_t N>
bool finish_into(evp_md_ctx_st *context, std::array<std::uint8_t, N> &digest) {
  unsigned length = 0;
  return context != nullptr && EVP_DigestFinal_ex(context, digest.data(), &length) == 1 &&
         length == N;
}

template <std::size_t N>
bool finish_into(evp_md_ctx_st *context, std::optional<std::array<std::uint8_t, N>> &digest) {
  return context == nullptr || finish_into(context, digest.emplace());
}

} // namespace

void FileDigests::prepare() {
  FileDigests first;
  first.add({});
  static_cast<void>(first.finish());
}

void FileDigests::Free::operator()(evp_md_ctx_st *context) const {
  EVP_MD_CTX_free(context);
}

FileDigests::FileDigests() {
  for (std::size_t i = 0; i < kAlgorithms; ++i) {
    const EVP_MD *algorithm = algorithms()[i];
    if (algorithm == nullptr) {
      continue;
    }
    contexts_[i].reset(EVP_MD_CTX_new());
    failed_ = failed_ || contexts_[i] == nullptr ||
              EVP_DigestInit_ex2(contexts_[i].get(), algorithm, nullptr) != 1;
  }
}

void FileDigests::add(std::span<const std::uint8_t> bytes) {
  for (const auto &context : contexts_) {
    failed_ = failed_ || (context != nullptr &&
                          EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1);
  }
}

std::optional<FileDigests::Result> FileDigests::finish() {
  Result result;
  if (failed_ || !finish_into(contexts_[0].get(), result.sha256) ||
      !finish_into(contexts_[1].get(), result.sha1) ||
      !finish_into(contexts_[2].get(), result.md5)) {
    return std::nullopt;
  }
  return result;
}

} // namespace outguard::guest
