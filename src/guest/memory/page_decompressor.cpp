#include "guest/memory/page_decompressor.h"

#include <cstring>

#define ZLIB_CONST // input pointers are const
#include <lzo/lzo1x.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

namespace outguard::guest {

struct PageDecompressor::Libraries {
  Libraries() : zlib_ready(inflateInit(&zlib) == Z_OK) {}
  ~Libraries() {
    inflateEnd(&zlib);
    ZSTD_freeDCtx(zstd);
  }
  Libraries(const Libraries &) = delete;
  Libraries &operator=(const Libraries &) = delete;

  z_stream zlib{};
  bool zlib_ready;
  ZSTD_DCtx *zstd = ZSTD_createDCtx();
};

PageDecompressor::PageDecompressor() : libraries_(std::make_unique<Libraries>()) {}
PageDecompressor::~PageDecompressor() = default;

bool PageDecompressor::decompress(PageCompression compression, std::span<const std::uint8_t> stored,
                                  std::span<std::uint8_t> page) {
  const auto *text = reinterpret_cast<const char *>(stored.data());
  std::size_t length = page.size();
  switch (compression) {
  case PageCompression::None:
    if (stored.size() != page.size()) {
      return false;
    }
    std::memcpy(page.data(), stored.data(), page.size());
    return true;
  case PageCompression::Zlib: {
    auto &stream = libraries_->zlib;
    if (!libraries_->zlib_ready || inflateReset(&stream) != Z_OK) {
      return false;
    }
    stream.next_in = stored.data();
    stream.avail_in = static_cast<uInt>(stored.size());
    stream.next_out = page.data();
    stream.avail_out = static_cast<uInt>(page.size());
    return inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_out == 0;
  }
  case PageCompression::Lzo: {
    lzo_uint out = length;
    return lzo1x_decompress_safe(stored.data(), stored.size(), page.data(), &out, nullptr) ==
               LZO_E_OK &&
           out == page.size();
  }
  case PageCompression::Snappy:
    return snappy_uncompress(text, stored.size(), reinterpret_cast<char *>(page.data()), &length) ==
               SNAPPY_OK &&
           length == page.size();
  case PageCompression::Zstd:
    return libraries_->zstd != nullptr &&
           ZSTD_decompressDCtx(libraries_->zstd, page.data(), page.size(), stored.data(),
                               stored.size()) == page.size();
  }
  return false;
}

} // namespace outguard::guest
