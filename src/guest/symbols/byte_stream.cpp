#include "guest/symbols/byte_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <lzma.h>
#include <unistd.h>

namespace outguard::guest {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
constexpr std::uint64_t kMostWindow = std::uint64_t{128} << 20; ///< `xz -9` needs 65 MiB
constexpr std::array<std::uint8_t, 6> kXzMagic{0xfd, '7', 'z', 'X', 'Z', 0};

} // namespace

class ByteStream::Unpacker {
public:
  Unpacker() : ready_(lzma_stream_decoder(&stream_, kMostWindow, 0) == LZMA_OK) {}
  Unpacker(const Unpacker &) = delete;
  Unpacker &operator=(const Unpacker &) = delete;
  ~Unpacker() { lzma_end(&stream_); }

  [[nodiscard]] bool wants_input() const { return stream_.avail_in == 0 && !finished_; }
  void feed(std::span<const std::uint8_t> packed) {
    stream_.next_in = packed.data();
    stream_.avail_in = packed.size();
  }
  [[nodiscard]] bool finished() const { return finished_; }

  /// How many bytes it put into `out`; `problem` is set where it cannot go on.
  [[nodiscard]] std::size_t unpack(std::span<std::uint8_t> out, const char *&problem) {
    stream_.next_out = out.data();
    stream_.avail_out = out.size();
    const lzma_ret done = ready_ ? lzma_code(&stream_, LZMA_RUN) : LZMA_MEM_ERROR;
    finished_ = done == LZMA_STREAM_END;
    if (done == LZMA_MEMLIMIT_ERROR || done == LZMA_MEM_ERROR) {
      problem = "unpacking the .xz file takes too much memory";
    } else if (done != LZMA_OK && done != LZMA_STREAM_END) {
      problem = "the .xz file is damaged";
    }
    return out.size() - stream_.avail_out;
  }

private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_;
  bool finished_ = false;
};

ByteStream::ByteStream(Fd file, std::uint64_t most_read, std::uint64_t most_given)
    : file_(std::move(file)), read_left_(most_read), given_left_(most_given) {
  const std::size_t got = read_file();
  if (got >= kXzMagic.size() && std::equal(kXzMagic.begin(), kXzMagic.end(), packed_.begin())) {
    unpacker_ = std::make_unique<Unpacker>();
    unpacker_->feed(std::span(packed_).first(got));
    plain_.resize(kBufferBytes);
    return;
  }
  plain_.swap(packed_);
  next_ = plain_.data();
  end_ = next_ + got;
}

ByteStream::~ByteStream() = default;

/// Into packed_, whole; 0 at the end and on a problem.
std::size_t ByteStream::read_file() {
  packed_.resize(kBufferBytes);
  if (read_left_ == 0) {
    problem_ = "the file is too long";
    return 0;
  }
  const std::size_t want = std::min<std::uint64_t>(packed_.size(), read_left_);
  const ssize_t got = ::pread(file_.get(), packed_.data(), want, static_cast<off_t>(position_));
  if (got < 0) {
    problem_ = "the file cannot be read";
    return 0;
  }
  position_ += static_cast<std::uint64_t>(got);
  read_left_ -= static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

bool ByteStream::refill() {
  if (problem_ != nullptr) {
    return false;
  }
  std::size_t got = 0;
  if (!unpacker_) {
    got = read_file();
    plain_.swap(packed_);
  }
  while (unpacker_ && got == 0 && !unpacker_->finished() && problem_ == nullptr) {
    if (unpacker_->wants_input()) {
      const std::size_t packed = read_file();
      if (packed == 0 && problem_ == nullptr) {
        problem_ = "the .xz file is cut off";
      }
      unpacker_->feed(std::span(packed_).first(packed));
    }
    if (problem_ == nullptr) {
      got = unpacker_->unpack(plain_, problem_);
    }
  }
  if (got > given_left_) {
    problem_ = "the file is too long when unpacked";
    return false;
  }
  given_left_ -= got;
  next_ = plain_.data();
  end_ = next_ + got;
  return got != 0;
}

} // namespace outguard::guest
