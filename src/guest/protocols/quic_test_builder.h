#pragma once
// Tests and fuzz seeds: a client's QUIC packets, sealed as RFC 9001, 5 says. The keys are those of
// QuicOpener, which a test checks with the RFC's; the sealing is done here, the other way round.

#include <algorithm>
#include <memory>

#include <openssl/evp.h>

#include "guest/protocols/quic_opener.h"
#include "guest/protocols/tls_test_builder.h"

namespace outguard::guest {

/// Two bytes each; enough for tests.
inline Bytes quic_number(std::size_t value) {
  return number(value | 0x4000, 2);
}

inline Bytes crypto_frame(std::size_t offset, const Bytes &bytes) {
  return Bytes{6} + quic_number(offset) + quic_number(bytes.size()) + bytes;
}
/// The part [from, to) of a message.
inline Bytes crypto_frame(const Bytes &message, std::size_t from, std::size_t to) {
  return crypto_frame(from, Bytes(message.begin() + static_cast<std::ptrdiff_t>(from),
                                  message.begin() + static_cast<std::ptrdiff_t>(to)));
}

/// `header` ends with the packet number, of `number_length` bytes: the last of `packet_number`.
inline Bytes seal_quic(const QuicKeys &keys, const Bytes &header, std::size_t number_length,
                       const Bytes &frames, std::size_t packet_number = 0) {
  const std::size_t number_at = header.size() - number_length;
  auto nonce = keys.nonce;
  for (std::size_t i = 0; i < number_length; ++i) {
    nonce[12 - number_length + i] ^= header[number_at + i];
  }
  for (std::size_t i = number_length; i < sizeof packet_number; ++i) {
    nonce[11 - i] = static_cast<std::uint8_t>(nonce[11 - i] ^ (packet_number >> (8 * i) & 0xff));
  }
  Bytes out = header + frames + Bytes(16, 0);
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX *)> context(EVP_CIPHER_CTX_new(),
                                                                            EVP_CIPHER_CTX_free);
  int length = 0;
  EVP_EncryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, keys.key.data(), nonce.data());
  EVP_EncryptUpdate(context.get(), nullptr, &length, header.data(),
                    static_cast<int>(header.size()));
  EVP_EncryptUpdate(context.get(), out.data() + header.size(), &length, frames.data(),
                    static_cast<int>(frames.size()));
  EVP_EncryptFinal_ex(context.get(), out.data() + header.size() + length, &length);
  EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, 16, out.data() + out.size() - 16);

  std::array<std::uint8_t, 32> mask{};
  EVP_EncryptInit_ex(context.get(), EVP_aes_128_ecb(), nullptr, keys.header.data(), nullptr);
  EVP_EncryptUpdate(context.get(), mask.data(), &length, out.data() + number_at + 4, 16);
  out[0] = static_cast<std::uint8_t>(out[0] ^ (mask[0] & 0x0f));
  for (std::size_t i = 0; i < number_length; ++i) {
    out[number_at + i] ^= mask[1 + i];
  }
  return out;
}

struct InitialParts {
  std::uint32_t version = kQuicVersion1;
  Bytes destination_id{1, 2, 3, 4, 5, 6, 7, 8};
  Bytes token{};
  std::size_t packet_number = 0;
  std::size_t least = 1100;       ///< bytes of frames, filled up with padding
  std::optional<Bytes> keys_of{}; ///< destination id that the keys follow from; none: its own
};

inline Bytes quic_initial(const InitialParts &parts, Bytes frames) {
  frames.resize(std::max(frames.size(), parts.least), 0);
  const std::uint8_t type = parts.version == kQuicVersion2 ? 0x10 : 0x00;
  const Bytes header = Bytes{static_cast<std::uint8_t>(0xc1 | type)} + number(parts.version, 4) +
                       counted(parts.destination_id, 1) + counted(Bytes{9, 9}, 1) +
                       quic_number(parts.token.size()) + parts.token +
                       quic_number(2 + frames.size() + 16) + number(parts.packet_number, 2);
  QuicOpener opener;
  const auto keys = opener.client_keys(parts.version, parts.keys_of.value_or(parts.destination_id));
  return seal_quic(keys.value_or(QuicKeys{}), header, 2, frames, parts.packet_number);
}

} // namespace outguard::guest
