#pragma once
// Builds LiME images. The headers are plain structs that a test may spoil before build().

#include <cstdint>
#include <vector>

namespace outguard::guest {

class LimeBuilder {
public:
  struct Header {
    std::uint32_t magic = 0x4c69'4d45;
    std::uint32_t version = 1;
    std::uint64_t first = 0;
    std::uint64_t last = 0; ///< inclusive
    std::uint64_t reserved = 0;
  };

  void add_memory(std::uint64_t guest_physical, std::vector<std::uint8_t> bytes) {
    headers.push_back({.first = guest_physical, .last = guest_physical + bytes.size() - 1});
    bytes_.push_back(std::move(bytes));
  }
  [[nodiscard]] std::vector<std::uint8_t> build() const {
    std::vector<std::uint8_t> file;
    for (std::size_t i = 0; i < headers.size(); ++i) {
      const auto *raw = reinterpret_cast<const std::uint8_t *>(&headers[i]);
      file.insert(file.end(), raw, raw + sizeof(Header));
      file.insert(file.end(), bytes_[i].begin(), bytes_[i].end());
    }
    return file;
  }

  std::vector<Header> headers;

private:
  std::vector<std::vector<std::uint8_t>> bytes_; ///< one a header
};

} // namespace outguard::guest
