#include "guest/memory/cpu_registers.h"

#include <charconv>
#include <optional>

namespace outguard::guest {
namespace {

constexpr std::size_t kMaxText = std::size_t{16} << 20; ///< 1024 CPUs with AVX-512 print 8 MiB
constexpr std::uint64_t kLongModeActive = 1U << 10;     ///< EFER.LMA

std::optional<std::uint64_t> hex_at(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{}) {
    return std::nullopt;
  }
  return value;
}

/// The number behind `name` ("CR3="), where name stands at the start of a word.
std::optional<std::uint64_t> field(std::string_view block, std::string_view name) {
  for (std::size_t at = block.find(name); at != block.npos; at = block.find(name, at + 1)) {
    if (at == 0 || block[at - 1] == ' ' || block[at - 1] == '\n') {
      return hex_at(block.substr(at + name.size()));
    }
  }
  return std::nullopt;
}

/// "IDT=     fffffe0000000000 00000fff": base, then limit.
std::optional<std::uint64_t> table_base(std::string_view block, std::string_view name) {
  const std::size_t at = block.find(name);
  if (at == block.npos) {
    return std::nullopt;
  }
  const std::size_t digits = block.find_first_not_of(' ', at + name.size());
  return digits == block.npos ? std::nullopt : hex_at(block.substr(digits));
}

} // namespace

std::vector<CpuRegisters> parse_registers(std::string_view text) {
  text = text.substr(0, kMaxText);
  std::vector<CpuRegisters> cpus;
  while (!text.empty() && cpus.size() < kMaxCpus) {
    const std::size_t next = text.find("CPU#", 1);
    const std::string_view block = text.substr(0, next);
    text = next == text.npos ? std::string_view{} : text.substr(next);
    const auto cr3 = field(block, "CR3=");
    if (!cr3) {
      continue;
    }
    CpuRegisters cpu;
    cpu.cr3 = *cr3;
    cpu.cr0 = field(block, "CR0=").value_or(0);
    cpu.cr4 = field(block, "CR4=").value_or(0);
    cpu.rip = field(block, "RIP=").value_or(field(block, "EIP=").value_or(0));
    cpu.idt_base = table_base(block, "IDT=").value_or(0);
    cpu.long_mode = (field(block, "EFER=").value_or(0) & kLongModeActive) != 0;
    cpus.push_back(cpu);
  }
  return cpus;
}

} // namespace outguard::guest
