#include "guest/linux/pending_signal_bit.h"

#include <array>
#include <bit>

#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {
namespace {

constexpr std::size_t kMostCodeBytes = 64; ///< the instruction is among the first five
constexpr std::uint8_t kLock = 0xf0;
constexpr std::uint8_t kNoLock = 0x3e; ///< what a kernel on one CPU patches over its lock prefixes
constexpr unsigned kLowestBit = 1,
                   kHighestBit = 3; ///< 2 up to Linux 6.17, 1 since; anything else is a misread

/// ModRM with its displacement: /digit and the offset from the base register.
struct Operand {
  unsigned digit = 0;
  std::int32_t displacement = 0;
};

Result<Operand> memory_operand(ByteCursor &code) {
  const auto modrm = code.u8();
  if (!modrm) {
    return tl::unexpected(modrm.error());
  }
  const unsigned mode = *modrm >> 6, base = *modrm & 7U;
  if (mode == 3 || (mode == 0 && base == 5) || (base == 4 && !code.skip(1))) { // 4: a SIB byte
    return fault(FaultCode::Malformed);
  }
  Operand operand{*modrm >> 3 & 7U, 0};
  if (mode == 1) {
    const auto byte = code.u8();
    if (!byte) {
      return tl::unexpected(byte.error());
    }
    operand.displacement = *byte < 0x80 ? *byte : *byte - 0x100;
  } else if (mode == 2) {
    const auto word = code.le32();
    if (!word) {
      return tl::unexpected(word.error());
    }
    operand.displacement = static_cast<std::int32_t>(*word);
  }
  return operand;
}

std::optional<unsigned> only_bit(std::uint32_t mask) {
  return std::has_single_bit(mask) ? std::optional(static_cast<unsigned>(std::countr_zero(mask)))
                                   : std::nullopt;
}

/// Decodes what stands behind a lock prefix. Forms of set_bit(constant): or m8, imm8 (80 /1), or
/// m32, imm32 (81 /1), or m32, imm8 (83 /1), bts m32, imm8 (0f ba /5); each with or without REX.
std::optional<unsigned> decode(ByteCursor code, std::uint32_t flags_offset) {
  auto opcode = code.u8();
  if (opcode && (*opcode & 0xf0) == 0x40) {
    opcode = code.u8();
  }
  const bool is_bit_test = opcode && *opcode == 0x0f;
  if (is_bit_test) {
    opcode = code.u8();
  }
  const bool is_or = opcode && (*opcode == 0x80 || *opcode == 0x81 || *opcode == 0x83);
  if (!opcode || (is_bit_test ? *opcode != 0xba : !is_or)) {
    return std::nullopt;
  }
  const auto operand = memory_operand(code);
  if (!operand || operand->digit != (is_bit_test ? 5U : 1U)) {
    return std::nullopt;
  }
  const auto immediate = *opcode == 0x81
                             ? code.le32()
                             : code.u8().map([](std::uint8_t byte) { return std::uint32_t{byte}; });
  const auto bit = !immediate    ? std::nullopt
                   : is_bit_test ? std::optional<unsigned>(*immediate)
                                 : only_bit(*immediate);
  const std::int64_t byte = std::int64_t{operand->displacement} - flags_offset;
  if (!bit || byte < 0 || byte >= 8) {
    return std::nullopt;
  }
  return *bit + static_cast<unsigned>(byte) * 8;
}

} // namespace

std::optional<unsigned> bit_set_by(std::span<const std::uint8_t> code, std::uint32_t flags_offset) {
  for (std::size_t at = 0; at < code.size(); ++at) {
    if (code[at] != kLock && code[at] != kNoLock) {
      continue;
    }
    const auto bit = decode(ByteCursor(code.subspan(at + 1)), flags_offset);
    if (bit && *bit >= kLowestBit && *bit <= kHighestBit) {
      return bit;
    }
  }
  return std::nullopt;
}

std::optional<unsigned> find_pending_signal_bit(const SymbolTable &symbols,
                                                std::uint32_t flags_offset, KernelReader &reader) {
  const auto function = symbols.find("signal_wake_up_state");
  std::array<std::uint8_t, kMostCodeBytes> code{};
  if (!function || !reader.read(*function, code)) {
    return std::nullopt;
  }
  return bit_set_by(code, flags_offset);
}

} // namespace outguard::guest
