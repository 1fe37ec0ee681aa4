#include "live_guest.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "guest/memory/cpu_registers.h"
#include "guest/memory/qemu_memory.h"
#include "hypervisor/memory_opener.h"
#include "hypervisor/vm_finder.h"

namespace outguard {
namespace {

[[noreturn]] void give_up(const std::string &why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

} // namespace

LiveGuest attach_to(const std::string &target) {
  const auto vm = hypervisor::resolve_target(target);
  if (!vm) {
    give_up(vm.error().message);
  }
  auto handles = hypervisor::open_memory(*vm);
  if (!handles) {
    give_up(handles.error().message);
  }
  LiveGuest live;
  live.mapped = !handles->process_memory;
  const auto registers = guest::parse_registers(handles->registers);
  auto memory = guest::QemuMemory::open(handles->layout, std::move(handles->process_memory),
                                        std::move(handles->files));
  if (!memory) {
    give_up(memory.error().reason);
  }
  live.memory = std::move(*memory);
  auto kernel = guest::find_kernel(*live.memory, registers);
  if (!kernel) {
    give_up(std::string("no kernel: ") + to_string(kernel.error().state));
  }
  auto attached = guest::LinuxGuest::attach(std::move(*kernel));
  if (!attached) {
    give_up(attached.error().what);
  }
  live.linux_guest = std::make_unique<guest::LinuxGuest>(std::move(*attached));
  return live;
}

double microseconds_since(MonotonicTime start) {
  return std::chrono::duration<double, std::micro>(monotonic_now() - start).count();
}

std::string percentiles(std::vector<double> samples) {
  if (samples.empty()) {
    return "null";
  }
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    return samples[static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1))];
  };
  return fmt::format(R"({{"n": {}, "p50": {:.1f}, "p90": {:.1f}, "p99": {:.1f}, "max": {:.1f}}})",
                     samples.size(), at(0.5), at(0.9), at(0.99), samples.back());
}

} // namespace outguard
