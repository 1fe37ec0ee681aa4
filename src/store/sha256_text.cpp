#include "store/sha256_text.h"

#include <array>

#include <openssl/evp.h>

#include "store/action_json.h"

namespace outguard::store {

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
    return {}; // no memory; equals no hash
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(std::size_t{2} * size);
  for (unsigned i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4U];
    text += kDigits[digest[i] & 0xFU];
  }
  return text;
}

std::string plan_hash(const ActionWanted &wanted) {
  const auto whole = action_json({.id = {},
                                  .wanted = wanted,
                                  .plan_hash = {},
                                  .state = {},
                                  .status = {},
                                  .reason = {},
                                  .asked_ns = 0,
                                  .changed_ns = 0,
                                  .expires_ns = 0});
  auto plan = Json::object();
  for (const char *member : {"action", "vm", "process", "tree", "rule", "ttl_s"}) {
    plan[member] = whole.at(member);
  }
  return sha256_hex(line(plan));
}

} // namespace outguard::store
