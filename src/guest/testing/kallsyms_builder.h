#pragma once
// Builds kallsyms tables as scripts/kallsyms.c lays them out, in every form that kernels have used
// since 4.20, and wrong in chosen ways.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "guest/bytes/address.h"

namespace outguard::guest {

/// How a kernel release lays its tables out.
struct KallsymsForm {
  enum class Order { OffsetsFirst, NamesFirst /* 6.4 */ };
  enum class Addresses { PerCpuAbsolute, BaseRelative /* 6.15 */, SelfRelative /* 7.0 */ };

  Order order = Order::OffsetsFirst;
  Addresses addresses = Addresses::PerCpuAbsolute;
  bool sequence = false;     ///< the 3-byte table of 6.2
  std::size_t alignment = 8; ///< 4 in 7.0
  const char *release = "";  ///< for test names
};

/// One of each kind: 5.10, 6.1, late 6.1 of Debian, 6.2, 6.4, 6.15, 7.0.
[[nodiscard]] const std::vector<KallsymsForm> &kallsyms_forms();

class KallsymsBuilder {
public:
  /// What may be wrong with the tables.
  enum class Flaw {
    None,
    CountTooHigh,      ///< one symbol more than there are names
    MarkerWrong,       ///< one marker points into the middle of a name
    NameEmpty,         ///< a name of length 0
    NameTooLong,       ///< a length that reaches past the markers
    TokenUnterminated, ///< the token table lacks a NUL
    TokenIndexFalls,   ///< the token index goes backwards
    DigitMissing,      ///< token '7' is not "7"
    BaseWrong,         ///< addresses lead elsewhere
  };

  /// `type` is the letter that nm prints.
  void add(char type, const std::string &name, std::uint64_t address) {
    symbols_.emplace_back(type + name, address);
  }
  /// Enough further text symbols "filler_N" for the tables to look like a kernel's.
  void add_fillers(std::size_t count, std::uint64_t first_address);

  /// The bytes as they would stand at `start`. Symbols are sorted by address, as the kernel does
  /// it.
  [[nodiscard]] std::vector<std::uint8_t> build(KallsymsForm form, GuestVirtual start,
                                                Flaw flaw = Flaw::None) const;

private:
  std::vector<std::pair<std::string, std::uint64_t>> symbols_; ///< with the type letter; address
};

} // namespace outguard::guest
