// Measures the walkers on one live guest, inside one process: attach, full table refresh, one
// flow's owner. Prints one JSON object. bench/run.py boots the guest and gathers the figures.
//
//   guest_bench TARGET [ROUNDS]
//
// Opens and parses in one process, which the product never does: a benchmark of the parts, run as
// root against guests of the lab only.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "guest/linux/linux_guest.h"
#include "guest/memory/cpu_registers.h"
#include "guest/memory/qemu_memory.h"
#include "hypervisor/memory_opener.h"
#include "hypervisor/vm_finder.h"

namespace {

using namespace outguard;

double microseconds_since(MonotonicTime start) {
  return std::chrono::duration<double, std::micro>(monotonic_now() - start).count();
}

/// "p50": ..., "p90": ..., "p99": ..., in microseconds.
std::string percentiles(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    const auto last = static_cast<double>(samples.size() - 1);
    return samples[static_cast<std::size_t>(share * last)];
  };
  return fmt::format(R"({{"n": {}, "p50": {:.1f}, "p90": {:.1f}, "p99": {:.1f}, "max": {:.1f}}})",
                     samples.size(), at(0.5), at(0.9), at(0.99), samples.back());
}

/// Of this process, in microseconds: what is left of a figure on a machine that does other things.
double processor_time() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

/// What a table costs whatever else the machine does: reads of memory behind a system call, and
/// their bytes. Mapped memory is not looked at: asking would slow it down.
class CountedMemory final : public guest::MemoryReader {
public:
  explicit CountedMemory(guest::MemoryReader &source) : source_(source) {}
  [[nodiscard]] std::span<const guest::PhysicalRange> ranges() const override {
    return source_.ranges();
  }
  [[nodiscard]] bool is_costly() const override { return source_.is_costly(); }

  std::uint64_t reads = 0, bytes = 0;

private:
  [[nodiscard]] guest::Result<std::size_t> read_some(guest::GuestPhysical address,
                                                     std::span<std::uint8_t> out) override {
    ++reads;
    bytes += out.size();
    return source_.read(address, out).map([&] { return out.size(); });
  }

  guest::MemoryReader &source_;
};

struct Measured {
  std::string elapsed = "null";
  std::string processor = "null";
};

template <class Work> Measured measure(int rounds, Work work) {
  std::vector<double> elapsed, processor;
  for (int i = 0; i < rounds; ++i) {
    const auto start = monotonic_now();
    const double before = processor_time();
    work(i);
    processor.push_back(processor_time() - before);
    elapsed.push_back(microseconds_since(start));
  }
  return {percentiles(std::move(elapsed)), percentiles(std::move(processor))};
}

[[noreturn]] void give_up(const std::string &why) {
  std::fprintf(stderr, "guest_bench: %s\n", why.c_str());
  std::exit(1);
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2) {
    give_up("usage: guest_bench TARGET [ROUNDS]");
  }
  const int rounds = argc > 2 ? std::max(1, std::atoi(argv[2])) : 200;
  const auto vm = hypervisor::resolve_target(argv[1]);
  if (!vm) {
    give_up(vm.error().message);
  }
  const auto start = monotonic_now();
  auto handles = hypervisor::open_memory(*vm);
  if (!handles) {
    give_up(handles.error().message);
  }
  const double connect = microseconds_since(start);
  const auto registers = guest::parse_registers(handles->registers);
  const bool mapped = !handles->process_memory;
  auto memory = guest::QemuMemory::open(handles->layout, std::move(handles->process_memory),
                                        std::move(handles->files));
  if (!memory) {
    give_up(memory.error().reason);
  }
  CountedMemory counted(**memory);
  auto kernel = guest::find_kernel(mapped ? static_cast<guest::MemoryReader &>(**memory) : counted,
                                   registers);
  if (!kernel) {
    give_up(std::string("no kernel: ") + to_string(kernel.error().state));
  }
  auto guest = guest::LinuxGuest::attach(std::move(*kernel));
  if (!guest) {
    give_up(guest.error().what);
  }
  const auto first = guest->sockets();
  const double attach = microseconds_since(start);

  std::vector<FlowTuple> flows;
  for (const auto &socket : first.sockets) {
    if (!socket.owners.empty() && socket.remote.port != 0) {
      flows.push_back({socket.protocol, socket.local, socket.remote});
    }
  }
  std::size_t processes = 0;
  std::size_t found = 0;
  counted.reads = counted.bytes = 0;
  const auto refresh = measure(rounds, [&](int) {
    processes = guest->processes().processes.size();
    static_cast<void>(guest->sockets());
  });
  const std::uint64_t reads = counted.reads / static_cast<std::uint64_t>(rounds);
  const std::uint64_t kib = counted.bytes / static_cast<std::uint64_t>(rounds) / 1024;
  const auto sockets_only = measure(rounds, [&](int) { static_cast<void>(guest->sockets()); });
  const auto who = flows.empty() ? Measured{} : measure(rounds * 10, [&](int i) {
    const auto &flow = flows[static_cast<std::size_t>(i) % flows.size()];
    // As a packet that was seen before the last refresh: what most of a busy tap's flows are.
    const auto answer = guest->attribute(flow, WallTime{} + std::chrono::nanoseconds(1));
    found += answer.processes.empty() ? 0U : 1U;
  });
  const auto fresh_who = flows.empty() ? Measured{} : measure(rounds, [&](int i) {
    const auto &flow = flows[static_cast<std::size_t>(i) % flows.size()];
    const auto answer = guest->attribute(flow, wall_now()); // no earlier read is good enough
    found += answer.processes.empty() ? 0U : 1U;
  });
  const auto &seen = guest->kernel();
  fmt::print(
      R"({{"memory": "{}", "processes": {}, "sockets": {}, "attach_us": {:.0f}, "connect_us": {:.0f}, )"
      R"("find_us": {}, "types_us": {}, "symbols_us": {}, "refresh_us": {}, "sockets_us": {}, )"
      R"("who_us": {}, "who_fresh_us": {}, "refresh_cpu_us": {}, "sockets_cpu_us": {}, "who_cpu_us": {}, )"
      R"("who_found": {}, "refresh_reads": {}, "refresh_kib": {}}})"
      "\n",
      mapped ? "mapped" : "process", processes, first.sockets.size(), attach, connect,
      seen.find_ns / 1000, seen.types_ns / 1000, seen.symbols_ns / 1000, refresh.elapsed,
      sockets_only.elapsed, who.elapsed, fresh_who.elapsed, refresh.processor,
      sockets_only.processor, who.processor, found, reads, kib);
  return 0;
}
