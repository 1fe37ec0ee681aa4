#pragma once
// The bytes of a file one after the other, unpacked on the way where it is .xz: memory stays at two
// buffers and the decoder's window, however long the file. Owns the descriptor. One thread.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/fd.h"

namespace outguard::guest {

class ByteStream {
public:
  /// Ends, with a problem, after `most_read` bytes of the file or `most_given` unpacked ones.
  ByteStream(Fd file, std::uint64_t most_read, std::uint64_t most_given);
  ByteStream(const ByteStream &) = delete;
  ByteStream &operator=(const ByteStream &) = delete;
  ~ByteStream();

  [[nodiscard]] bool ended() { return next_ == end_ && !refill(); }
  /// Only when not ended.
  [[nodiscard]] char current() const { return static_cast<char>(*next_); }
  void advance() { ++next_; }
  /// Why it ended early; nullptr: it did not.
  [[nodiscard]] const char *problem() const { return problem_; }

private:
  class Unpacker;

  [[nodiscard]] bool refill();
  [[nodiscard]] std::size_t read_file();

  Fd file_;
  std::uint64_t read_left_, given_left_;
  std::uint64_t position_ = 0; ///< in the file
  std::vector<std::uint8_t> packed_, plain_;
  const std::uint8_t *next_ = nullptr; ///< in plain_
  const std::uint8_t *end_ = nullptr;
  std::unique_ptr<Unpacker> unpacker_; ///< null: the file is plain
  const char *problem_ = nullptr;
};

} // namespace outguard::guest
