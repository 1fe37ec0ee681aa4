#pragma once
// Splits a STIX pattern (STIX 2.1, part 9) into tokens. Value type; no exceptions.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace outguard::intel {

struct StixToken {
  enum class Kind : std::uint8_t {
    End,
    Word,    ///< identifier or keyword
    String,  ///< text without quotes and escapes
    Integer, ///< with its sign
    Float,
    Time,   ///< t'...'
    Binary, ///< b'...' and h'...'
    Mark,   ///< operator or bracket
  };
  Kind kind = Kind::End;
  std::string text;
};

class StixLexer {
public:
  explicit StixLexer(std::string_view text) : rest_(text) {}

  /// nullopt: no token of the language.
  [[nodiscard]] std::optional<StixToken> next();

private:
  [[nodiscard]] std::optional<std::string> quoted();
  [[nodiscard]] std::optional<StixToken> literal(char prefix);
  [[nodiscard]] std::optional<StixToken> number();
  [[nodiscard]] std::optional<StixToken> mark();

  std::string_view rest_;
};

} // namespace outguard::intel
