#pragma once
// The only way to read a buffer of hostile bytes: every read is checked against the end, a failed
// one leaves the cursor where it was. Does not own the bytes. The window can only shrink.

#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "guest/bytes/fault.h"

namespace outguard::guest {

class ByteCursor {
public:
  explicit ByteCursor(std::span<const std::uint8_t> bytes) : all_(bytes) {}

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return all_.size() - position_; }
  [[nodiscard]] bool at_end() const { return remaining() == 0; }
  [[nodiscard]] std::span<const std::uint8_t> rest() const { return all_.subspan(position_); }

  [[nodiscard]] Result<std::uint8_t> u8() { return big_endian<std::uint8_t>(); }
  [[nodiscard]] Result<std::uint16_t> be16() { return big_endian<std::uint16_t>(); }
  [[nodiscard]] Result<std::uint32_t> be24() {
    const auto bytes = take(3);
    if (!bytes) {
      return tl::unexpected(bytes.error());
    }
    const auto &b = *bytes;
    return static_cast<std::uint32_t>(b[0] << 16 | b[1] << 8 | b[2]);
  }
  [[nodiscard]] Result<std::uint32_t> be32() { return big_endian<std::uint32_t>(); }
  [[nodiscard]] Result<std::uint64_t> be64() { return big_endian<std::uint64_t>(); }
  [[nodiscard]] Result<std::uint16_t> le16() { return little_endian<std::uint16_t>(); }
  [[nodiscard]] Result<std::uint32_t> le32() { return little_endian<std::uint32_t>(); }
  [[nodiscard]] Result<std::uint64_t> le64() { return little_endian<std::uint64_t>(); }

  /// The next `count` bytes, as a view into the buffer.
  [[nodiscard]] Result<std::span<const std::uint8_t>> take(std::size_t count) {
    if (count > remaining()) {
      return fault(FaultCode::OutOfRange, position_);
    }
    const auto view = all_.subspan(position_, count);
    position_ += count;
    return view;
  }
  [[nodiscard]] bool skip(std::size_t count) { return take(count).has_value(); }
  /// A cursor over just the next `count` bytes; this one moves past them.
  [[nodiscard]] Result<ByteCursor> window(std::size_t count) {
    return take(count).map([](auto view) { return ByteCursor(view); });
  }

private:
  template <class T> [[nodiscard]] Result<T> big_endian() {
    const auto bytes = take(sizeof(T));
    if (!bytes) {
      return tl::unexpected(bytes.error());
    }
    std::uint64_t value = 0;
    for (const std::uint8_t byte : *bytes) {
      value = value << 8 | byte;
    }
    return static_cast<T>(value);
  }
  template <class T> [[nodiscard]] Result<T> little_endian() {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = take(sizeof(T));
    if (!bytes) {
      return tl::unexpected(bytes.error());
    }
    T value;
    std::memcpy(&value, bytes->data(), sizeof value); // the product runs on x86-64 only
    return value;
  }

  std::span<const std::uint8_t> all_;
  std::size_t position_ = 0;
};

} // namespace outguard::guest
