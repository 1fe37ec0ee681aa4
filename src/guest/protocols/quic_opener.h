#pragma once
// Opens QUIC Initial packets that a client sent (RFC 9001, 5; RFC 9369, 3.3): their keys follow
// from what everybody sees. OpenSSL, whose algorithms and contexts are made once; no heap a packet.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "guest/protocols/quic_packet.h"

struct evp_cipher_ctx_st; // OpenSSL's EVP_CIPHER_CTX
struct evp_mac_ctx_st;    // EVP_MAC_CTX

namespace outguard::guest {

struct QuicKeys {
  std::array<std::uint8_t, 16> key{};
  std::array<std::uint8_t, 12> nonce{};
  std::array<std::uint8_t, 16> header{};

  bool operator==(const QuicKeys &) const = default;
};

class QuicOpener {
public:
  /// Loads OpenSSL's implementations. Call before a sandbox is entered, as prepare_digests().
  static void prepare();

  QuicOpener();

  /// Of the client that chose `destination_id` for its first packet. nullopt: an unknown version,
  /// or OpenSSL failed.
  [[nodiscard]] std::optional<QuicKeys> client_keys(std::uint32_t version,
                                                    std::span<const std::uint8_t> destination_id);
  /// The frames in an Initial packet, good until the next call; nullopt: not with these keys.
  /// `expected`: one more than the highest packet number so far.
  [[nodiscard]] std::optional<std::span<const std::uint8_t>>
  open(const QuicKeys &keys, const QuicPacket &packet, std::uint64_t expected = 0);
  /// Of the packet that was opened last.
  [[nodiscard]] std::uint64_t number() const { return number_; }

private:
  using Hash = std::array<std::uint8_t, 32>;
  [[nodiscard]] bool hmac(std::span<const std::uint8_t> key, std::span<const std::uint8_t> text,
                          Hash &out);
  [[nodiscard]] bool expand(const Hash &secret, std::string_view label,
                            std::span<std::uint8_t> out);
  [[nodiscard]] bool header_mask(const QuicKeys &keys, std::span<const std::uint8_t> sample,
                                 std::array<std::uint8_t, 16> &mask);

  struct Free {
    void operator()(evp_cipher_ctx_st *context) const;
    void operator()(evp_mac_ctx_st *context) const;
  };
  std::unique_ptr<evp_mac_ctx_st, Free> hmac_;
  std::unique_ptr<evp_cipher_ctx_st, Free> block_;  ///< AES-128-ECB
  std::unique_ptr<evp_cipher_ctx_st, Free> packet_; ///< AES-128-GCM
  std::uint64_t number_ = 0;
  std::vector<std::uint8_t> header_;
  std::vector<std::uint8_t> opened_;
};

} // namespace outguard::guest
