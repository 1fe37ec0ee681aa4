#pragma once
// TIF_SIGPENDING's bit number, which is in no type and no symbol, read off the guest's own code:
// the first thing that signal_wake_up_state() does is to set it in thread_info.flags.

#include <cstdint>
#include <optional>
#include <span>

#include "guest/linux/kernel_reader.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

/// The bit that `code` sets by the first `lock or`/`lock bts $imm, disp(%reg)`, counted from byte
/// `flags_offset` of the structure; nullopt when there is no such instruction or it makes no sense.
[[nodiscard]] std::optional<unsigned> bit_set_by(std::span<const std::uint8_t> code,
                                                 std::uint32_t flags_offset);

[[nodiscard]] std::optional<unsigned> find_pending_signal_bit(const SymbolTable &symbols,
                                                              std::uint32_t flags_offset,
                                                              KernelReader &reader);

} // namespace outguard::guest
