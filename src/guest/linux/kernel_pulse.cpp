#include "guest/linux/kernel_pulse.h"

#include <algorithm>

#include "guest/symbols/page_table_roots.h"

namespace outguard::guest {

KernelPulse::KernelPulse(const Kernel &kernel)
    : jiffies_(kernel.symbols->find("jiffies_64")), banner_(kernel.symbols->find("linux_banner")),
      banner_text_(kernel.seen.banner.raw()), text_(kernel.seen.text_base) {
  if (!jiffies_) {
    jiffies_ = kernel.symbols->find("jiffies"); // the same word on 64-bit kernels
  }
}

std::optional<std::uint64_t> KernelPulse::beat(KernelReader &reader) const {
  if (!jiffies_) {
    return std::nullopt;
  }
  const auto word = reader.pointer(*jiffies_);
  return word ? std::optional(word->raw()) : std::nullopt;
}

bool KernelPulse::is_run_by(std::span<const CpuRegisters> registers, KernelReader &reader) const {
  const AddressSpace &own = reader.space();
  const auto here = own.translate(text_);
  const auto roots = page_table_roots(registers);
  const bool runs =
      here && std::any_of(roots.begin(), roots.end(), [&](const PageTableRoot &root) {
        return root.levels == own.levels() &&
               AddressSpace(own.memory(), root.table, root.levels).translate(text_) == here;
      });
  if (!runs || !banner_) {
    return runs;
  }
  std::string now(banner_text_.size(), '\0');
  return reader.read(*banner_, {reinterpret_cast<std::uint8_t *>(now.data()), now.size()}) &&
         now == banner_text_;
}

} // namespace outguard::guest
