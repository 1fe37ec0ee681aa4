#include "guest/memory/flattened_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <queue>
#include <string_view>

#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {
namespace {

/// makedumpfile 1.7.2, makedumpfile.h: struct makedumpfile_header stands in a block of 4 KiB, and a
/// struct makedumpfile_data_header before each record; all numbers big-endian.
constexpr std::string_view kSignature = "makedumpfile";
constexpr std::size_t kSignatureBytes = 16;
constexpr std::uint64_t kHeaderBytes = 4096;
constexpr std::size_t kRecordHeaderBytes = 16;
constexpr std::uint64_t kEndMark = UINT64_MAX; ///< -1, as offset and size
/// QEMU writes 16 KiB at once: this is 128 GiB of compressed pages, and 192 MiB of index.
constexpr std::size_t kMaxRecords = std::size_t{8} << 20;
constexpr std::uint64_t kMaxOffset = std::uint64_t{1} << 56;

Opened<std::uint64_t> be64_at(const FileBytes &file, std::uint64_t offset) {
  std::array<std::uint8_t, 8> bytes{};
  if (auto done = file.read(offset, bytes); !done) {
    return tl::unexpected(done.error());
  }
  return *ByteCursor(bytes).be64();
}

} // namespace

bool FlattenedFile::is_flattened(const FileBytes &file) {
  std::array<char, kSignature.size()> start{};
  return file.read(0, {reinterpret_cast<std::uint8_t *>(start.data()), start.size()}) &&
         std::string_view(start.data(), start.size()) == kSignature;
}

Opened<std::unique_ptr<FileBytes>> FlattenedFile::open(std::unique_ptr<FileBytes> file) {
  for (const std::uint64_t offset : {kSignatureBytes, kSignatureBytes + 8}) { // type, version
    const auto value = be64_at(*file, offset);
    if (!value) {
      return tl::unexpected(value.error());
    }
    if (*value != 1) {
      return problem("a flattened dump of an unknown type or version", offset);
    }
  }
  std::unique_ptr<FlattenedFile> flattened(new FlattenedFile(std::move(file)));
  if (auto done = flattened->read_records(); !done) {
    return tl::unexpected(done.error());
  }
  flattened->resolve_overlaps();
  return flattened;
}

Opened<void> FlattenedFile::read_records() {
  for (std::uint64_t at = kHeaderBytes;;) {
    std::array<std::uint8_t, kRecordHeaderBytes> header{};
    if (auto done = file_->read(at, header); !done) {
      return problem("truncated: a flattened dump without its end mark", at);
    }
    ByteCursor cursor(header);
    const Piece piece{*cursor.be64(), *cursor.be64(), at + header.size()};
    if (piece.start == kEndMark && piece.length == kEndMark) {
      return {};
    }
    if (piece.start > kMaxOffset || !file_->holds(piece.stored_at, piece.length)) {
      return problem("truncated or damaged: a record reaches past the end of the file", at);
    }
    if (pieces_.size() == kMaxRecords) {
      return problem("more than 8,388,608 records; rearrange it with makedumpfile -R first", at);
    }
    if (piece.length != 0) {
      pieces_.push_back(piece);
      size_ = std::max(size_, piece.end());
    }
    at = piece.stored_at + piece.length;
  }
}

/// Goes up through the offsets, with the records that cover the place in a heap: the one stored
/// last wins, until it ends or another begins.
void FlattenedFile::resolve_overlaps() {
  std::sort(pieces_.begin(), pieces_.end(),
            [](const Piece &a, const Piece &b) { return a.start < b.start; });
  if (std::adjacent_find(pieces_.begin(), pieces_.end(), [](const Piece &a, const Piece &b) {
        return b.start < a.end();
      }) == pieces_.end()) {
    return;
  }
  const auto stored_earlier = [](const Piece &a, const Piece &b) {
    return a.stored_at < b.stored_at;
  };
  std::priority_queue<Piece, std::vector<Piece>, decltype(stored_earlier)> covering(stored_earlier);
  std::vector<Piece> resolved;
  std::uint64_t at = 0;
  for (auto next = pieces_.begin(); next != pieces_.end() || !covering.empty();) {
    if (covering.empty()) {
      at = std::max(at, next->start);
    }
    for (; next != pieces_.end() && next->start <= at; ++next) {
      covering.push(*next);
    }
    const Piece last = covering.top();
    if (last.end() <= at) {
      covering.pop();
      continue;
    }
    const std::uint64_t end =
        next == pieces_.end() ? last.end() : std::min(last.end(), next->start);
    const std::uint64_t stored_at = last.stored_at + (at - last.start);
    if (!resolved.empty() && resolved.back().end() == at &&
        resolved.back().stored_at + resolved.back().length == stored_at) {
      resolved.back().length += end - at;
    } else {
      resolved.push_back({at, end - at, stored_at});
    }
    at = end;
  }
  pieces_ = std::move(resolved);
}

Opened<void> FlattenedFile::fill(std::uint64_t offset, std::span<std::uint8_t> out) const {
  auto piece = std::upper_bound(
      pieces_.begin(), pieces_.end(), offset,
      [](std::uint64_t wanted, const Piece &candidate) { return wanted < candidate.end(); });
  while (!out.empty()) {
    const bool in_piece = piece != pieces_.end() && piece->start <= offset;
    const std::uint64_t until = in_piece                 ? piece->end()
                                : piece != pieces_.end() ? piece->start
                                                         : UINT64_MAX;
    const auto part = out.first(std::min<std::uint64_t>(out.size(), until - offset));
    if (!in_piece) {
      std::memset(part.data(), 0, part.size());
    } else if (auto done = file_->read(piece->stored_at + (offset - piece->start), part); !done) {
      return done;
    } else {
      ++piece;
    }
    offset += part.size();
    out = out.subspan(part.size());
  }
  return {};
}

} // namespace outguard::guest
