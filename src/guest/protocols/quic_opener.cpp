#include "guest/protocols/quic_opener.h"

#include <algorithm>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

namespace outguard::guest {

namespace {

constexpr std::size_t kTag = 16;    ///< of AES-128-GCM, at the packet's end
constexpr std::size_t kSample = 16; ///< RFC 9001, 5.4.2: from 4 bytes behind the number's start
constexpr std::size_t kMostNumber = 4;
constexpr std::size_t kMostLabel = 32;

struct Version {
  std::array<std::uint8_t, 20> salt;
  std::string_view key, nonce, header;
};
constexpr Version kDraft23{{0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
                            0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02},
                           "tls13 quic key",
                           "tls13 quic iv",
                           "tls13 quic hp"};
constexpr Version kDraft29{{0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
                            0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99},
                           "tls13 quic key",
                           "tls13 quic iv",
                           "tls13 quic hp"};
constexpr Version kVersion1{{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                             0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
                            "tls13 quic key",
                            "tls13 quic iv",
                            "tls13 quic hp"};
constexpr Version kVersion2{{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
                             0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
                            "tls13 quicv2 key",
                            "tls13 quicv2 iv",
                            "tls13 quicv2 hp"};

const Version *known_version(std::uint32_t version) {
  switch (quic_protection(version)) {
  case QuicProtection::Draft23:
    return &kDraft23;
  case QuicProtection::Draft29:
    return &kDraft29;
  case QuicProtection::Version1:
    return &kVersion1;
  case QuicProtection::Version2:
    return &kVersion2;
  case QuicProtection::None:
    break;
  }
  return nullptr;
}

/// Fetched once, for as long as the program lives.
struct Algorithms {
  Algorithms() {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    block = EVP_CIPHER_fetch(nullptr, "AES-128-ECB", nullptr);
    packet = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
  }
  EVP_MAC *hmac = nullptr;
  const EVP_CIPHER *block = nullptr;
  const EVP_CIPHER *packet = nullptr;
};
const Algorithms &algorithms() {
  static const Algorithms kFetched;
  return kFetched;
}

/// RFC 9000, A.3: the number nearest to the expected one that ends with the bytes written.
std::uint64_t whole_number(std::uint64_t written, std::size_t bytes, std::uint64_t expected) {
  const std::uint64_t window = std::uint64_t{1} << (8 * bytes);
  const std::uint64_t nearest = (expected & ~(window - 1)) | written;
  if (nearest + window / 2 <= expected) {
    return nearest + window;
  }
  return nearest > expected + window / 2 && nearest >= window ? nearest - window : nearest;
}

int as_int(std::size_t size) { // of parts of one datagram
  return static_cast<int>(size);
}

} // namespace

void QuicOpener::Free::operator()(evp_cipher_ctx_st *context) const {
  EVP_CIPHER_CTX_free(context);
}
void QuicOpener::Free::operator()(evp_mac_ctx_st *context) const {
  EVP_MAC_CTX_free(context);
}

void QuicOpener::prepare() {
  QuicOpener opener;
  const std::array<std::uint8_t, 64> bytes{};
  const QuicPacket packet{QuicPacketType::Initial, kQuicVersion1, {}, bytes, 0};
  if (const auto keys = opener.client_keys(kQuicVersion1, bytes)) {
    (void)opener.open(*keys, packet);
  }
}

QuicOpener::QuicOpener() {
  const auto &[hmac, block, packet] = algorithms();
  if (hmac == nullptr || block == nullptr || packet == nullptr) {
    return;
  }
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  hmac_.reset(EVP_MAC_CTX_new(hmac));
  block_.reset(EVP_CIPHER_CTX_new());
  packet_.reset(EVP_CIPHER_CTX_new());
  if (hmac_ == nullptr || block_ == nullptr || packet_ == nullptr ||
      EVP_MAC_CTX_set_params(hmac_.get(), parameters) != 1 ||
      EVP_EncryptInit_ex2(block_.get(), block, nullptr, nullptr, nullptr) != 1 ||
      EVP_DecryptInit_ex2(packet_.get(), packet, nullptr, nullptr, nullptr) != 1) {
    hmac_.reset(); // without it nothing begins
  }
}

bool QuicOpener::hmac(std::span<const std::uint8_t> key, std::span<const std::uint8_t> text,
                      Hash &out) {
  std::size_t length = 0;
  return hmac_ != nullptr && EVP_MAC_init(hmac_.get(), key.data(), key.size(), nullptr) == 1 &&
         EVP_MAC_update(hmac_.get(), text.data(), text.size()) == 1 &&
         EVP_MAC_final(hmac_.get(), out.data(), &length, out.size()) == 1 && length == out.size();
}

/// HKDF-Expand-Label (RFC 8446, 7.1) of at most one hash's length, without a context.
bool QuicOpener::expand(const Hash &secret, std::string_view label, std::span<std::uint8_t> out) {
  std::array<std::uint8_t, 2 + 1 + kMostLabel + 1 + 1> info{};
  std::size_t length = 0;
  info[length++] = 0;
  info[length++] = static_cast<std::uint8_t>(out.size());
  info[length++] = static_cast<std::uint8_t>(label.size());
  for (const char c : label) {
    info[length++] = static_cast<std::uint8_t>(c);
  }
  info[length++] = 0; // context
  info[length++] = 1; // first block
  Hash block;
  const bool good = hmac(secret, std::span(info).first(length), block);
  std::copy_n(block.begin(), out.size(), out.begin());
  return good;
}

std::optional<QuicKeys> QuicOpener::client_keys(std::uint32_t version,
                                                std::span<const std::uint8_t> destination_id) {
  const Version *known = known_version(version);
  if (known == nullptr) {
    return std::nullopt;
  }
  Hash initial{};
  Hash client{};
  QuicKeys keys;
  const bool good =
      hmac(known->salt, destination_id, initial) && expand(initial, "tls13 client in", client) &&
      expand(client, known->key, keys.key) && expand(client, known->nonce, keys.nonce) &&
      expand(client, known->header, keys.header);
  return good ? std::optional(keys) : std::nullopt;
}

bool QuicOpener::header_mask(const QuicKeys &keys, std::span<const std::uint8_t> sample,
                             std::array<std::uint8_t, 16> &mask) {
  int length = 0;
  return hmac_ != nullptr &&
         EVP_EncryptInit_ex2(block_.get(), nullptr, keys.header.data(), nullptr, nullptr) == 1 &&
         EVP_CIPHER_CTX_set_padding(block_.get(), 0) == 1 &&
         EVP_EncryptUpdate(block_.get(), mask.data(), &length, sample.data(),
                           as_int(sample.size())) == 1;
}

std::optional<std::span<const std::uint8_t>>
QuicOpener::open(const QuicKeys &keys, const QuicPacket &packet, std::uint64_t expected) {
  const auto bytes = packet.bytes;
  std::array<std::uint8_t, 16> mask{};
  if (bytes.size() - packet.number_at < kMostNumber + kSample ||
      !header_mask(keys, bytes.subspan(packet.number_at + kMostNumber, kSample), mask)) {
    return std::nullopt;
  }
  const std::size_t number_length = ((bytes[0] ^ mask[0]) & 3U) + 1U;
  const std::size_t header_length = packet.number_at + number_length;
  header_.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header_length));
  header_[0] = static_cast<std::uint8_t>(header_[0] ^ (mask[0] & 0x0f));
  std::uint64_t written = 0;
  for (std::size_t i = 0; i < number_length; ++i) {
    auto &byte = header_[packet.number_at + i];
    byte = static_cast<std::uint8_t>(byte ^ mask[1 + i]);
    written = written << 8 | byte;
  }
  number_ = whole_number(written, number_length, expected);
  auto nonce = keys.nonce;
  for (std::size_t i = 0; i < sizeof number_; ++i) {
    auto &place = nonce[nonce.size() - 1 - i];
    place = static_cast<std::uint8_t>(place ^ (number_ >> (8 * i) & 0xff));
  }
  const auto sealed = bytes.subspan(header_length, bytes.size() - header_length - kTag);
  std::array<std::uint8_t, kTag> tag{};
  std::copy_n(bytes.end() - static_cast<std::ptrdiff_t>(kTag), kTag, tag.begin());
  opened_.resize(sealed.size());
  int length = 0;
  const bool good =
      EVP_DecryptInit_ex2(packet_.get(), nullptr, keys.key.data(), nonce.data(), nullptr) == 1 &&
      EVP_DecryptUpdate(packet_.get(), nullptr, &length, header_.data(), as_int(header_.size())) ==
          1 &&
      EVP_DecryptUpdate(packet_.get(), opened_.data(), &length, sealed.data(),
                        as_int(sealed.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(packet_.get(), EVP_CTRL_AEAD_SET_TAG, as_int(tag.size()), tag.data()) ==
          1 &&
      EVP_DecryptFinal_ex(packet_.get(), opened_.data() + length, &length) == 1;
  return good ? std::optional(std::span<const std::uint8_t>(opened_)) : std::nullopt;
}

} // namespace outguard::guest
