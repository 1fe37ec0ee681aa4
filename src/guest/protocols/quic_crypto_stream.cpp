#include "guest/protocols/quic_crypto_stream.h"

#include <algorithm>

namespace outguard::guest {

bool QuicCryptoStream::add(std::uint64_t offset, std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kMostBytes || offset > kMostBytes - bytes.size()) {
    return false;
  }
  if (bytes.empty()) {
    return true;
  }
  const auto begin = static_cast<std::size_t>(offset);
  const std::size_t end = begin + bytes.size();
  const auto first = std::find_if(pieces_.begin(), pieces_.end(),
                                  [&](const Piece &piece) { return piece.end >= begin; });
  const auto behind =
      std::find_if(first, pieces_.end(), [&](const Piece &piece) { return piece.begin > end; });
  if (first == behind && pieces_.size() >= kMostPieces) {
    return false;
  }
  bytes_.resize(std::max(bytes_.size(), end));
  const auto fill = [&](std::size_t from, std::size_t to) {
    if (from < to) {
      const auto part = bytes.subspan(from - begin, to - from);
      std::copy(part.begin(), part.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(from));
    }
  };
  std::size_t at = begin;
  for (auto piece = first; piece != behind; ++piece) {
    fill(at, std::min(piece->begin, end));
    at = std::max(at, piece->end);
  }
  fill(at, end);
  if (first == behind) {
    pieces_.insert(first, Piece{begin, end});
    return true;
  }
  first->begin = std::min(first->begin, begin);
  first->end = std::max((behind - 1)->end, end);
  pieces_.erase(first + 1, behind);
  return true;
}

std::span<const std::uint8_t> QuicCryptoStream::beginning() const {
  const bool there = !pieces_.empty() && pieces_.front().begin == 0;
  return std::span(bytes_).first(there ? pieces_.front().end : 0);
}

void QuicCryptoStream::clear() {
  bytes_.clear();
  pieces_.clear();
}

} // namespace outguard::guest
