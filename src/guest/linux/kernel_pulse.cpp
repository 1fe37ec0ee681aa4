#include "guest/linux/kernel_pulse.h"

#include <algorithm>

#include "guest/symbols/page_table_roots.h"

namespace outguard::guest {

namespace {

std::optional<std::uint64_t> word_at(const std::optional<GuestVirtual> &address,
                                     KernelReader &reader) {
  const auto word = address ? reader.pointer(*address) : fault(FaultCode::NotFound);
  return word ? std::optional(word->raw()) : std::nullopt;
}

} // namespace

KernelPulse::KernelPulse(const Kernel &kernel)
    : jiffies_(jiffies_of(*kernel.symbols)), max_pfn_(kernel.symbols->find("max_pfn")),
      banner_(kernel.symbols->find("linux_banner")), banner_text_(kernel.seen.banner.raw()),
      text_(kernel.seen.text_base) {}

Pulse KernelPulse::read(KernelReader &reader) const {
  return {word_at(jiffies_, reader), word_at(max_pfn_, reader)};
}

bool KernelPulse::is_run_by(std::span<const CpuRegisters> registers, KernelReader &reader) const {
  const AddressSpace &own = reader.space();
  const auto here = own.translate(text_);
  const auto roots = page_table_roots(registers);
  const bool leads_here =
      registers.empty() || std::any_of(roots.begin(), roots.end(), [&](const PageTableRoot &root) {
        return root.levels == own.levels() &&
               AddressSpace(own.memory(), root.table, root.levels).translate(text_) == here;
      });
  if (!here || !leads_here || !banner_) {
    return here && leads_here;
  }
  std::string now(banner_text_.size(), '\0');
  return reader.read(*banner_, {reinterpret_cast<std::uint8_t *>(now.data()), now.size()}) &&
         now == banner_text_;
}

} // namespace outguard::guest
