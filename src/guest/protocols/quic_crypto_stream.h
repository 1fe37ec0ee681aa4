#pragma once
// The handshake bytes of one QUIC connection, put in order from CRYPTO frames that come in any
// order, over packets, and overlap (RFC 9000, 19.6). What came first stays. Bounded.

#include <cstdint>
#include <span>
#include <vector>

namespace outguard::guest {

class QuicCryptoStream {
public:
  static constexpr std::size_t kMostBytes = std::size_t{16} * 1024; ///< as of a TCP stream
  static constexpr std::size_t kMostPieces = 64;                    ///< with gaps between them

  /// False: beyond a limit, and not kept.
  [[nodiscard]] bool add(std::uint64_t offset, std::span<const std::uint8_t> bytes);
  /// What is there without a gap from the start.
  [[nodiscard]] std::span<const std::uint8_t> beginning() const;
  [[nodiscard]] bool empty() const { return pieces_.empty(); }
  /// Keeps the memory.
  void clear();

private:
  struct Piece {
    std::size_t begin = 0, end = 0;
  };
  std::vector<std::uint8_t> bytes_;
  std::vector<Piece> pieces_; ///< in order, with gaps between them
};

} // namespace outguard::guest
