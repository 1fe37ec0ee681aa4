#pragma once
// Builds ISF files (Volatility 3's JSON) for tests, as text, packed, and as a file. Whatever is put
// in is written as it is, so that wrong files are built as easily.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace outguard::guest {

class IsfBuilder {
public:
  struct Field {
    std::string name;
    std::uint32_t offset = 0;
    std::string type; ///< a type description: one of those below
    bool unnamed = false;
  };

  void add_base(std::string_view name, std::uint32_t size);
  void add_struct(std::string_view name, std::uint32_t size, const std::vector<Field> &fields);
  void add_enum(std::string_view name, std::string_view constant, std::int64_t value);
  void add_symbol(std::string_view name, std::uint64_t address);
  /// linux_banner, with its text.
  void add_banner(std::uint64_t address, std::string_view text);

  [[nodiscard]] static std::string base(std::string_view name);
  [[nodiscard]] static std::string composite(std::string_view name);
  [[nodiscard]] static std::string enumeration(std::string_view name);
  [[nodiscard]] static std::string pointer(std::string_view target);
  [[nodiscard]] static std::string array(std::uint32_t count, std::string_view element);
  [[nodiscard]] static std::string bits(int position, int length, std::string_view unit);

  [[nodiscard]] std::string json() const;

private:
  std::string bases_, types_, enums_, symbols_;
};

[[nodiscard]] std::string pack_xz(std::string_view bytes);
/// A file in memory.
[[nodiscard]] Fd file_of(std::string_view bytes);

} // namespace outguard::guest
