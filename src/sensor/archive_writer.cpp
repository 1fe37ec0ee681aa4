#include "sensor/archive_writer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <unistd.h>
#include <zstd.h>

#include "guest/protocols/digest.h"

namespace outguard::sensor {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kStep = std::size_t{256} << 10;
constexpr std::size_t kMostName = 99;                             ///< of folder, slash and name
constexpr std::uint64_t kMostPart = (std::uint64_t{1} << 33) - 1; ///< eleven octal digits
constexpr int kLevel = 3;                                         ///< zstd's default: some 200 MB/s

bool is_plain(const std::string &name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789._-";
  return !name.empty() && name.front() != '.' && name.front() != '-' &&
         name.find_first_not_of(kLetters) == std::string::npos;
}

/// `width` octal digits, zeros before them.
void put_octal(std::uint8_t *to, std::size_t width, std::uint64_t value) {
  for (std::size_t at = width; at > 0; --at, value /= 8) {
    to[at - 1] = static_cast<std::uint8_t>('0' + value % 8);
  }
}

/// IEEE Std 1003.1, pax, "ustar Interchange Format".
std::array<std::uint8_t, kBlock> header(const std::string &name, std::uint64_t bytes,
                                        std::uint64_t seconds) {
  std::array<std::uint8_t, kBlock> block{};
  std::memcpy(block.data(), name.data(), std::min(name.size(), kMostName));
  put_octal(block.data() + 100, 7, 0600);     // mode
  put_octal(block.data() + 108, 7, 0);        // uid
  put_octal(block.data() + 116, 7, 0);        // gid
  put_octal(block.data() + 124, 11, bytes);   // size
  put_octal(block.data() + 136, 11, seconds); // time of change
  block[156] = '0';                           // a regular file
  std::memcpy(block.data() + 257, "ustar", 6);
  std::memcpy(block.data() + 263, "00", 2);
  std::memset(block.data() + 148, ' ', 8); // the checksum counts itself as spaces
  std::uint64_t sum = 0;
  for (const std::uint8_t byte : block) {
    sum += byte;
  }
  put_octal(block.data() + 148, 6, sum);
  block[154] = 0;
  return block;
}

} // namespace

void ArchiveWriter::Free::operator()(ZSTD_CCtx_s *context) const {
  ZSTD_freeCCtx(context);
}

ArchiveWriter::ArchiveWriter(int file, std::string folder, std::uint64_t most_bytes)
    : file_(file), folder_(std::move(folder)), left_(most_bytes), context_(ZSTD_createCCtx()),
      in_(kStep), out_(ZSTD_CStreamOutSize()) {}

Result<ArchiveWriter> ArchiveWriter::open(int file, std::string folder, std::uint64_t most_bytes) {
  if (!is_plain(folder) || folder.size() >= kMostName) {
    return fail(ErrorCode::InvalidInput, "not a name for an archive's folder");
  }
  ArchiveWriter writer(file, std::move(folder), most_bytes);
  if (writer.context_ == nullptr) {
    return fail(ErrorCode::SystemFailed, "zstd: no memory");
  }
  ZSTD_CCtx_setParameter(writer.context_.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(writer.context_.get(), ZSTD_c_checksumFlag, 1);
  return writer;
}

Result<void> ArchiveWriter::write(const std::uint8_t *bytes, std::size_t count) {
  if (count > left_) {
    return fail(ErrorCode::LimitReached, "the archive would be larger than is allowed");
  }
  left_ -= count;
  while (count != 0) {
    const ssize_t done = ::write(file_, bytes, count);
    if (done < 0 && errno == EINTR) {
      continue;
    }
    if (done <= 0) {
      return fail_errno("writing the archive");
    }
    bytes += done;
    count -= static_cast<std::size_t>(done);
  }
  return {};
}

Result<void> ArchiveWriter::pack(const std::uint8_t *bytes, std::size_t count, More more) {
  ZSTD_inBuffer in{bytes, count, 0};
  const auto mode = more == More::Ends ? ZSTD_e_end : ZSTD_e_continue;
  for (bool going = true; going;) {
    ZSTD_outBuffer out{out_.data(), out_.size(), 0};
    const std::size_t left = ZSTD_compressStream2(context_.get(), &out, &in, mode);
    if (ZSTD_isError(left) != 0) {
      return fail(ErrorCode::SystemFailed, std::string("zstd: ") + ZSTD_getErrorName(left));
    }
    if (auto written = write(out_.data(), out.pos); !written) {
      return written;
    }
    going = more == More::Ends ? left != 0 : in.pos < in.size;
  }
  return {};
}

Result<std::string> ArchiveWriter::add(const std::string &name, const Fd &part, std::uint64_t bytes,
                                       std::int64_t time_ns) {
  const std::string path = folder_ + "/" + name;
  if (!is_plain(name) || path.size() > kMostName || bytes > kMostPart) {
    return fail(ErrorCode::InvalidInput, "not a name or size for a member of an archive");
  }
  const auto seconds =
      static_cast<std::uint64_t>(std::max<std::int64_t>(time_ns, 0)) / 1'000'000'000;
  const auto head = header(path, bytes, seconds);
  auto packed = pack(head.data(), head.size(), More::Follows);
  guest::RunningDigest digest(guest::DigestKind::Sha256);
  for (std::uint64_t at = 0; packed && at < bytes;) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(kStep, bytes - at));
    const ssize_t got = ::pread(part.get(), in_.data(), want, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return fail_errno("reading a part of the evidence");
    }
    const std::size_t count = got == 0 ? want : static_cast<std::size_t>(got);
    if (got == 0) {
      std::memset(in_.data(), 0, count);
    }
    digest.add({in_.data(), count});
    packed = pack(in_.data(), count, More::Follows);
    at += count;
  }
  if (packed && bytes % kBlock != 0) {
    const std::array<std::uint8_t, kBlock> zeros{};
    packed = pack(zeros.data(), kBlock - bytes % kBlock, More::Follows);
  }
  if (!packed) {
    return tl::unexpected(packed.error());
  }
  std::string sha256;
  if (!digest.finish(sha256)) {
    return fail(ErrorCode::SystemFailed, "OpenSSL could not hash a part of the evidence");
  }
  return sha256;
}

Result<void> ArchiveWriter::finish() {
  const std::array<std::uint8_t, 2 * kBlock> end{};
  return pack(end.data(), end.size(), More::Ends);
}

} // namespace outguard::sensor
