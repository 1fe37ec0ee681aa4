#pragma once
// Text that a guest or the network chose: names, paths, arguments, host names, URLs. Any byte may
// be in it. The type has no way to print the raw bytes by accident: printable() escapes.

#include <string>
#include <string_view>

namespace outguard {

class GuestText {
public:
  GuestText() = default;
  explicit GuestText(std::string bytes) : bytes_(std::move(bytes)) {}

  /// Safe on any terminal and in any log: valid UTF-8 stays, control characters (C0, DEL, C1),
  /// backslash, invalid UTF-8, bidirectional overrides and line separators become \xNN of each
  /// byte.
  [[nodiscard]] std::string printable() const;
  /// Every byte is part of valid UTF-8.
  [[nodiscard]] bool is_utf8() const;
  /// For comparing and for escaping by somebody else (JSON). Never for output.
  [[nodiscard]] std::string_view raw() const { return bytes_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

  auto operator<=>(const GuestText &) const = default;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire.any_bytes(self.bytes_);
  }

private:
  std::string bytes_;
};

} // namespace outguard
