#pragma once
// The wire form of facts: little-endian, no padding, no type tags but those of variants. A struct
// takes part by listing its members in `fields()`. The reader trusts nothing: the peer may be a
// sensor that a guest took over. Failure is sticky, every length is capped by what is left of the
// message.

#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/ip_address.h"
#include "base/printable.h"

namespace outguard {

class WireWriter {
public:
  template <class... Values> void operator()(const Values &...values) { (put(values), ...); }
  /// For GuestText only: bytes that nobody has looked at.
  void any_bytes(const std::string &bytes) { put(bytes); }
  [[nodiscard]] std::vector<std::uint8_t> take() { return std::move(bytes_); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

private:
  template <class T> void put(const T &value) {
    if constexpr (std::is_enum_v<T>) {
      put(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_arithmetic_v<T>) {
      const auto *raw = reinterpret_cast<const std::uint8_t *>(&value);
      bytes_.insert(bytes_.end(), raw, raw + sizeof value);
    } else {
      T::fields(value, *this);
    }
  }
  void put(const std::string &text) {
    put(static_cast<std::uint32_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  template <class T> void put(const std::vector<T> &items) {
    put(static_cast<std::uint32_t>(items.size()));
    for (const auto &item : items) {
      put(item);
    }
  }
  template <class T> void put(const std::optional<T> &item) {
    put(static_cast<std::uint8_t>(item.has_value()));
    if (item) {
      put(*item);
    }
  }
  template <class T, std::size_t N> void put(const std::array<T, N> &items) {
    for (const auto &item : items) {
      put(item);
    }
  }
  template <class... Ts> void put(const std::variant<Ts...> &choice) {
    put(static_cast<std::uint8_t>(choice.index()));
    std::visit([this](const auto &chosen) { this->put(chosen); }, choice);
  }
  void put(const IpAddress &address) {
    put(static_cast<std::uint8_t>(address.family));
    put(address.bytes);
  }
  void put(const Endpoint &endpoint) {
    put(endpoint.address);
    put(endpoint.port);
  }

  std::vector<std::uint8_t> bytes_;
};

class WireReader {
public:
  /// Longest text in a report: a path or an argument is at most 4 KiB, a URL or a kernel's banner
  /// less.
  static constexpr std::size_t kMaxReportText = 8192;
  enum class PlainText : std::uint8_t { Any, MustBePrintable };
  explicit WireReader(std::span<const std::uint8_t> bytes, PlainText plain = PlainText::Any)
      : rest_(bytes), plain_(plain) {}

  template <class... Values> void operator()(Values &...values) { (get(values), ...); }
  /// For GuestText only: bytes that will be escaped before anybody sees them.
  void any_bytes(std::string &bytes) {
    const auto count = length();
    if (plain_ == PlainText::MustBePrintable && count > kMaxReportText) {
      return stop();
    }
    bytes.assign(rest_.begin(), rest_.begin() + count);
    rest_ = rest_.subspan(count);
  }
  /// True when nothing failed and the whole message was used.
  [[nodiscard]] bool finished() const { return ok_ && rest_.empty(); }
  [[nodiscard]] bool ok() const { return ok_; }

private:
  void stop() {
    ok_ = false;
    rest_ = {};
  }
  template <class T> void get(T &value) {
    if constexpr (std::is_same_v<T, bool>) {
      std::uint8_t raw = 0;
      get(raw);
      value = raw == 1;
      if (raw > 1) {
        stop();
      }
    } else if constexpr (std::is_enum_v<T>) {
      std::underlying_type_t<T> raw{};
      get(raw);
      value = static_cast<T>(raw);
    } else if constexpr (std::is_arithmetic_v<T>) {
      if (rest_.size() < sizeof value) {
        return stop();
      }
      std::memcpy(&value, rest_.data(), sizeof value);
      rest_ = rest_.subspan(sizeof value);
    } else {
      T::fields(value, *this);
    }
  }
  /// A count or length: every element takes at least one byte, so more than what is left is a lie.
  std::uint32_t length() {
    std::uint32_t count = 0;
    get(count);
    if (count > rest_.size()) {
      stop();
      return 0;
    }
    return count;
  }
  /// A plain string is the program's own words, to be printed as it is: a peer that was taken over
  /// must not reach a terminal or a log through it.
  void get(std::string &text) {
    any_bytes(text);
    if (plain_ == PlainText::MustBePrintable &&
        (text.size() > kMaxReportText || !is_printable(text))) {
      stop();
    }
  }
  template <class T> void get(std::vector<T> &items) {
    const auto count = length();
    items.clear();
    for (std::uint32_t i = 0; i < count && ok_; ++i) {
      get(items.emplace_back());
    }
  }
  template <class T> void get(std::optional<T> &item) {
    bool present = false;
    get(present);
    item.reset();
    if (present && ok_) {
      get(item.emplace());
    }
  }
  template <class T, std::size_t N> void get(std::array<T, N> &items) {
    for (auto &item : items) {
      get(item);
    }
  }
  template <class... Ts> void get(std::variant<Ts...> &choice) {
    std::uint8_t index = 0;
    get(index);
    if (index >= sizeof...(Ts)) {
      return stop();
    }
    choose(choice, index, std::index_sequence_for<Ts...>{});
  }
  template <class Variant, std::size_t... Is>
  void choose(Variant &choice, std::size_t index, std::index_sequence<Is...>) {
    ((index == Is ? get(choice.template emplace<Is>()) : void()), ...);
  }
  void get(IpAddress &address) {
    std::uint8_t family = 0;
    get(family);
    get(address.bytes);
    if (family != 4 && family != 6) {
      return stop();
    }
    address = family == 4 ? IpAddress::v4(std::span(address.bytes).first<4>())
                          : IpAddress::v6(address.bytes);
  }
  void get(Endpoint &endpoint) {
    get(endpoint.address);
    get(endpoint.port);
  }

  std::span<const std::uint8_t> rest_;
  PlainText plain_;
  bool ok_ = true;
};

} // namespace outguard
