#pragma once
// Decompresses the pages of a kdump file. The libraries' headers stay in the .cpp. Keeps their
// working memory from page to page; one thread at a time.

#include <cstdint>
#include <memory>
#include <span>

namespace outguard::guest {

/// makedumpfile's flags of a page (diskdump_mod.h, DUMP_DH_COMPRESSED_*).
enum class PageCompression : std::uint32_t { None = 0, Zlib = 1, Lzo = 2, Snappy = 4, Zstd = 0x20 };

class PageDecompressor {
public:
  PageDecompressor();
  ~PageDecompressor();
  PageDecompressor(const PageDecompressor &) = delete;
  PageDecompressor &operator=(const PageDecompressor &) = delete;

  /// True if `stored` decompresses to exactly `page`; else the content of `page` is unspecified.
  /// Writes nothing outside it, whatever `stored` claims.
  [[nodiscard]] bool decompress(PageCompression compression, std::span<const std::uint8_t> stored,
                                std::span<std::uint8_t> page);

private:
  struct Libraries;
  std::unique_ptr<Libraries> libraries_;
};

} // namespace outguard::guest
