#include "intel/feeds/archive.h"

#include <algorithm>
#include <array>
#include <memory>

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

namespace outguard::intel {

namespace {

constexpr std::size_t kStep = std::size_t{1} << 20;
constexpr std::uint64_t kMostXzMemory = std::uint64_t{128} << 20; ///< of its dictionary, `xz -9`
constexpr int kMostZstdWindowLog = 27;                            ///< 128 MiB, `zstd --ultra -22`

tl::unexpected<std::string> broken(const char *what) {
  return tl::unexpected<std::string>(std::string("broken ") + what + " data");
}

/// What comes out, with room made step by step and the limits held.
class Output {
public:
  Output(std::size_t packed, const UnpackLimits &limits) : packed_(packed), limits_(limits) {}

  /// Room for the next step; its used part is told with `used`.
  std::span<std::uint8_t> room() {
    bytes_.resize(size_ + kStep);
    return std::span(bytes_).subspan(size_);
  }
  /// False: a limit is passed, and `problem` says which.
  bool used(std::size_t count) {
    size_ += count;
    if (size_ > limits_.most_bytes) {
      problem_ = "more than " + std::to_string(limits_.most_bytes >> 20) + " MiB when unpacked";
    } else if (size_ > limits_.ratio_from && size_ / limits_.most_ratio > packed_) {
      problem_ = "unpacks to more than " + std::to_string(limits_.most_ratio) + " times its size";
    }
    return problem_.empty();
  }
  [[nodiscard]] tl::unexpected<std::string> problem() const {
    return tl::unexpected<std::string>(problem_);
  }
  std::vector<std::uint8_t> finish() {
    bytes_.resize(size_);
    return std::move(bytes_);
  }

private:
  std::vector<std::uint8_t> bytes_;
  std::size_t size_ = 0;
  std::size_t packed_;
  UnpackLimits limits_;
  std::string problem_;
};

/// zlib counts in 32 bits; input is given in steps.
class Inflate {
public:
  explicit Inflate(int window_bits) : good_(::inflateInit2(&stream_, window_bits) == Z_OK) {}
  Inflate(const Inflate &) = delete;
  Inflate &operator=(const Inflate &) = delete;
  ~Inflate() { ::inflateEnd(&stream_); }

  [[nodiscard]] bool good() const { return good_; }
  void restart() { ::inflateReset(&stream_); }
  /// Moves both spans on by what was taken and given.
  int run(std::span<const std::uint8_t> &in, std::span<std::uint8_t> &out) {
    const auto give = std::min<std::size_t>(in.size(), kStep);
    const auto room = std::min<std::size_t>(out.size(), kStep);
    stream_.next_in = const_cast<Bytef *>(in.data()); // zlib does not write there
    stream_.avail_in = static_cast<uInt>(give);
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(room);
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    in = in.subspan(give - stream_.avail_in);
    out = out.subspan(room - stream_.avail_out);
    return status;
  }

private:
  z_stream stream_{};
  bool good_;
};

Unpacked unpack_gzip(std::span<const std::uint8_t> in, const UnpackLimits &limits) {
  constexpr int kGzip = 15 + 16;
  Output output(in.size(), limits);
  Inflate inflate(kGzip);
  while (inflate.good()) {
    const auto before = in.size();
    const auto room = output.room();
    auto out = room;
    const int status = inflate.run(in, out);
    if (!output.used(room.size() - out.size())) {
      return output.problem();
    }
    if (status == Z_STREAM_END) {
      if (packing_of(in) != Packing::Gzip) {
        return output.finish(); // what follows is padding
      }
      inflate.restart();
    } else if (status != Z_OK || (in.size() == before && out.size() == room.size())) {
      break;
    } else if (in.empty() && !out.empty()) {
      return tl::unexpected<std::string>("gzip data cut short");
    }
  }
  return broken("gzip");
}

Unpacked unpack_xz(std::span<const std::uint8_t> in, const UnpackLimits &limits) {
  lzma_stream stream = LZMA_STREAM_INIT;
  const std::unique_ptr<lzma_stream, decltype(&::lzma_end)> ends(&stream, &::lzma_end);
  if (::lzma_stream_decoder(&stream, kMostXzMemory, LZMA_CONCATENATED) != LZMA_OK) {
    return broken("xz");
  }
  stream.next_in = in.data();
  stream.avail_in = in.size();
  Output output(in.size(), limits);
  while (true) {
    const auto room = output.room();
    stream.next_out = room.data();
    stream.avail_out = room.size();
    const auto status = ::lzma_code(&stream, LZMA_FINISH);
    if (!output.used(room.size() - stream.avail_out)) {
      return output.problem();
    }
    if (status == LZMA_STREAM_END) {
      return output.finish();
    }
    if (status == LZMA_MEMLIMIT_ERROR) {
      return tl::unexpected<std::string>("xz data that needs more than 128 MiB to unpack");
    }
    if (status == LZMA_BUF_ERROR) {
      return tl::unexpected<std::string>("xz data cut short");
    }
    if (status != LZMA_OK) {
      return broken("xz");
    }
  }
}

Unpacked unpack_zstd(std::span<const std::uint8_t> in, const UnpackLimits &limits) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&::ZSTD_freeDCtx)> context(::ZSTD_createDCtx(),
                                                                       &::ZSTD_freeDCtx);
  if (!context || ::ZSTD_isError(::ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax,
                                                          kMostZstdWindowLog)) != 0) {
    return broken("zstd");
  }
  ZSTD_inBuffer input{in.data(), in.size(), 0};
  Output output(in.size(), limits);
  while (true) {
    const auto room = output.room();
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    const auto left = ::ZSTD_decompressStream(context.get(), &out, &input);
    if (::ZSTD_isError(left) != 0) {
      return broken("zstd");
    }
    if (!output.used(out.pos)) {
      return output.problem();
    }
    if (input.pos == input.size && out.pos < out.size) {
      return left == 0 ? Unpacked(output.finish())
                       : tl::unexpected<std::string>("zstd data cut short");
    }
  }
}

} // namespace

Packing packing_of(std::span<const std::uint8_t> bytes) {
  const auto starts = [&](std::initializer_list<std::uint8_t> magic) {
    return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
  };
  if (starts({0x1f, 0x8b, 8})) {
    return Packing::Gzip;
  }
  if (starts({0xfd, '7', 'z', 'X', 'Z', 0})) {
    return Packing::Xz;
  }
  if (starts({0x28, 0xb5, 0x2f, 0xfd})) {
    return Packing::Zstd;
  }
  return starts({'P', 'K', 3, 4}) || starts({'P', 'K', 5, 6}) ? Packing::Zip : Packing::None;
}

const char *to_string(Packing packing) {
  switch (packing) {
  case Packing::None:
    return "";
  case Packing::Gzip:
    return "gzip";
  case Packing::Xz:
    return "xz";
  case Packing::Zstd:
    return "zstd";
  case Packing::Zip:
    return "zip";
  }
  return "";
}

Unpacked unpack(Packing packing, std::span<const std::uint8_t> bytes, const UnpackLimits &limits) {
  switch (packing) {
  case Packing::Gzip:
    return unpack_gzip(bytes, limits);
  case Packing::Xz:
    return unpack_xz(bytes, limits);
  case Packing::Zstd:
    return unpack_zstd(bytes, limits);
  case Packing::None:
  case Packing::Zip:
    break;
  }
  return tl::unexpected<std::string>("not packed as one file");
}

Unpacked inflate_raw(std::span<const std::uint8_t> in, std::size_t size) {
  constexpr int kRaw = -15;
  Inflate inflate(kRaw);
  std::vector<std::uint8_t> bytes(size);
  std::span<std::uint8_t> out(bytes);
  std::array<std::uint8_t, 1> beyond{}; // zlib wants room to see the end
  while (inflate.good()) {
    const auto before = in.size() + out.size();
    std::span<std::uint8_t> spare(beyond);
    auto &target = out.empty() ? spare : out;
    const int status = inflate.run(in, target);
    if (spare.size() != beyond.size()) {
      return tl::unexpected<std::string>("unpacks to more than it says");
    }
    if (status == Z_STREAM_END) {
      return out.empty() ? Unpacked(std::move(bytes))
                         : tl::unexpected<std::string>("unpacks to less than it says");
    }
    if (status != Z_OK || in.size() + out.size() == before) {
      break;
    }
  }
  return broken("deflate");
}

} // namespace outguard::intel
