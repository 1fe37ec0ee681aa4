#include "guest/packets/capture_file.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include <unistd.h>
#include <zlib.h>

namespace outguard::guest {

namespace {

constexpr std::size_t kPacked = std::size_t{256} * 1024;
constexpr int kGzipOnly = 16 + MAX_WBITS;

template <std::size_t N>
bool begins_with(std::span<const std::uint8_t> bytes, const std::array<std::uint8_t, N> &magic) {
  return bytes.size() >= N && std::equal(magic.begin(), magic.end(), bytes.begin());
}

constexpr std::array<std::uint8_t, 2> kGzip{0x1f, 0x8b};
constexpr std::array<std::uint8_t, 6> kXz{0xfd, '7', 'z', 'X', 'Z', 0};
constexpr std::array<std::uint8_t, 4> kZstd{0x28, 0xb5, 0x2f, 0xfd};
constexpr std::array<std::uint8_t, 3> kBzip2{'B', 'Z', 'h'};
constexpr std::array<std::uint8_t, 4> kZip{'P', 'K', 3, 4};

} // namespace

struct CaptureFile::Unpacker {
  Unpacker() : in(kPacked), good(::inflateInit2(&stream, kGzipOnly) == Z_OK) {}
  ~Unpacker() { ::inflateEnd(&stream); }
  Unpacker(const Unpacker &) = delete;
  Unpacker &operator=(const Unpacker &) = delete;

  z_stream stream{};
  std::vector<std::uint8_t> in;
  bool good;
  bool between_members = false;
};

CaptureFile::CaptureFile(int fd) : fd_(fd) {}
CaptureFile::~CaptureFile() = default;

std::int64_t CaptureFile::fail(const char *why) {
  problem_ = why;
  return -1;
}

std::int64_t CaptureFile::read_file(std::span<std::uint8_t> out) {
  ssize_t got = 0;
  do {
    got = ::read(fd_, out.data(), out.size());
  } while (got < 0 && errno == EINTR);
  bytes_read_ += static_cast<std::uint64_t>(std::max<ssize_t>(got, 0));
  return got < 0 ? fail("reading failed") : got;
}

bool CaptureFile::begin() {
  begun_ = true;
  while (first_size_ < first_.size()) {
    const auto got = read_file(std::span(first_).subspan(first_size_));
    if (got <= 0) {
      break;
    }
    first_size_ += static_cast<std::size_t>(got);
  }
  const auto first = std::span<const std::uint8_t>(first_).first(first_size_);
  if (begins_with(first, kXz) || begins_with(first, kZstd) || begins_with(first, kBzip2) ||
      begins_with(first, kZip)) {
    problem_ = "packed with xz, zstd, bzip2 or zip: unpack it first (only gzip is unpacked here)";
  }
  if (problem_ == nullptr && begins_with(first, kGzip)) {
    unpacker_ = std::make_unique<Unpacker>();
    std::copy(first.begin(), first.end(), unpacker_->in.begin());
    unpacker_->stream.next_in = unpacker_->in.data();
    unpacker_->stream.avail_in = static_cast<uInt>(first.size());
    if (!unpacker_->good) {
      problem_ = "no memory to unpack it";
    }
  }
  return problem_ == nullptr;
}

std::int64_t CaptureFile::read(std::span<std::uint8_t> out) {
  if (problem_ != nullptr || (!begun_ && !begin())) {
    return -1;
  }
  if (unpacker_ != nullptr) {
    return unpack(out);
  }
  if (first_used_ < first_size_) {
    const auto count = std::min(out.size(), first_size_ - first_used_);
    std::copy_n(first_.begin() + static_cast<std::ptrdiff_t>(first_used_), count, out.begin());
    first_used_ += count;
    return static_cast<std::int64_t>(count);
  }
  return read_file(out);
}

std::int64_t CaptureFile::unpack(std::span<std::uint8_t> out) {
  auto &stream = unpacker_->stream;
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  while (stream.avail_out == out.size()) {
    if (stream.avail_in == 0) {
      const auto got = read_file(unpacker_->in);
      if (got < 0) {
        return got;
      }
      if (got == 0) {
        return unpacker_->between_members ? 0 : fail("the gzip data ends early");
      }
      stream.next_in = unpacker_->in.data();
      stream.avail_in = static_cast<uInt>(got);
    }
    if (unpacker_->between_members) {
      ::inflateReset(&stream);
      unpacker_->between_members = false;
    }
    const int status = ::inflate(&stream, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      unpacker_->between_members = true;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      return fail("the gzip data is damaged");
    }
  }
  return static_cast<std::int64_t>(out.size() - stream.avail_out);
}

} // namespace outguard::guest
