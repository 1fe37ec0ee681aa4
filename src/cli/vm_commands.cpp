// vm list, vm show: what is seen, and the reason for each gap.
#include <fmt/format.h>
#include <unistd.h>

#include "api/status_json.h"
#include "cli/commands.h"
#include "cli/problems.h"
#include "cli/status_lines.h"
#include "cli/target.h"
#include "facts/guest_text.h"
#include "hypervisor/vm_finder.h"
#include "launch/attach.h"
#include "store/vm_row.h"

namespace outguard::cli {

namespace {

std::string joined(const std::vector<std::string> &words) {
  std::string text;
  for (const auto &word : words) {
    text += (text.empty() ? "" : "; ") + GuestText(word).printable();
  }
  return text;
}

std::vector<std::string> tap_names(const hypervisor::VmFound &vm) {
  std::vector<std::string> names;
  for (const auto &tap : vm.taps) {
    names.push_back(tap.name);
  }
  return names;
}

/// What `vm list` and `vm show` tell of one VM.
store::VmRow examine(const Common &common, const hypervisor::VmFound &vm) {
  store::VmRow row;
  row.name = GuestText(vm.name.empty() ? vm.key() : vm.name);
  row.uuid = vm.uuid;
  row.pid = vm.pid;
  row.machine = vm.machine;
  row.memory_bytes = vm.memory_bytes;
  row.taps = tap_names(vm);
  row.gaps = vm.gaps;
  auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
  if (!sensor) {
    row.gaps.push_back(sensor.error().message);
    return row;
  }
  auto attached = launch::attach_live(*sensor, vm, launch::SymbolFiles(common.symbols));
  if (!attached) {
    row.state = GuestState::Unreadable;
    row.gaps.push_back(attached.error().message);
    return row;
  }
  row.state = attached->state.state;
  row.memory = attached->memory;
  row.connect_us = static_cast<std::uint64_t>(attached->connect.count()) / 1000;
  row.kernel = attached->state.kernel;
  row.walk_us = attached->state.walk_ns / 1000;
  if (!attached->state.reason.empty()) {
    row.gaps.push_back(attached->state.reason);
  }
  row.gaps.insert(row.gaps.end(), attached->state.gaps.begin(), attached->state.gaps.end());
  if (row.kernel.clock == "standing") {
    if (const auto cpus = hypervisor::look_at_cpus(vm); cpus && !cpus->state.running) {
      row.kernel.clock = "paused";
    }
  }
  return row;
}

void print_vm(const store::VmRow &row) {
  const auto line = [](std::string_view name, const std::string &value) {
    print_line(fmt::format("{:<12} {}", name, value.empty() ? "-" : value));
  };
  line("name", row.name.printable());
  line("uuid", row.uuid);
  line("pid", std::to_string(row.pid));
  line("state", to_string(row.state));
  line("machine", row.machine);
  line("memory", row.memory);
  line("kernel", row.kernel.release.printable());
  line("banner", row.kernel.banner.printable());
  if (row.state == GuestState::Ready) {
    line("found by",
         fmt::format("{}; symbols from {} ({}), types from {}", row.kernel.located_by,
                     row.kernel.symbols_from, row.kernel.symbol_count, row.kernel.types_from));
    line("clock", row.kernel.clock == "standing" ? "standing while we looked: an idle guest's does"
                                                 : row.kernel.clock);
    line("paging", fmt::format("{} levels, kaslr offset {:#x}", row.kernel.paging_levels,
                               row.kernel.kaslr_offset));
    line("attach",
         fmt::format("connect {} us, find {} us, symbols {} us, types {} us, walk {} us",
                     row.connect_us, row.kernel.find_ns / 1000, row.kernel.symbols_ns / 1000,
                     row.kernel.types_ns / 1000, row.walk_us));
  }
  if (row.state == GuestState::Ready) {
    line("integrity", !row.kernel.integrity.empty() ? joined(row.kernel.integrity)
                      : row.kernel.integrity_checks == 0
                          ? std::string("not checked: none of its pointers was found")
                          : fmt::format("{} pointers and functions lead into the kernel's text",
                                        row.kernel.integrity_checks));
  }
  line("taps", joined(row.taps));
  line("gaps", row.gaps.empty() ? "none" : joined(row.gaps));
}

} // namespace

Exit vm_list(const Common &common) {
  const auto vms = hypervisor::find_vms();
  if (!vms) {
    return report(vms.error());
  }
  const bool root = ::geteuid() == 0;
  if (!root) {
    complain("not root: VMs of other users are not seen whole");
  }
  Table table({"NAME", "UUID", "PID", "STATE", "KERNEL", "MEMORY", "TAPS", "GAPS"});
  for (const auto &vm : *vms) {
    const auto row = examine(common, vm);
    if (common.format == Format::Json) {
      print_line(store::vm_json(row));
    } else {
      table.add({row.name.printable(), row.uuid.empty() ? "-" : row.uuid, std::to_string(row.pid),
                 to_string(row.state),
                 row.kernel.release.empty() ? "-" : row.kernel.release.printable(),
                 row.memory.empty() ? "-" : row.memory, row.taps.empty() ? "-" : joined(row.taps),
                 row.gaps.empty() ? "-" : joined(row.gaps)});
    }
  }
  if (common.format == Format::Table) {
    if (vms->empty()) {
      complain("no QEMU process on this host");
    } else {
      table.print();
    }
  }
  return root ? Exit::Ok : Exit::Partial;
}

namespace {

/// Who guards it, as lines and in JSON.
struct Guarded {
  std::vector<std::pair<std::string, std::string>> lines;
  std::string json;
};

Guarded who_guards(const hypervisor::VmFound &vm, const std::string &run_folder) {
  const auto look = look_for_supervisors(run_folder);
  for (const auto &supervisor : look.running) {
    for (const auto &guard : supervisor.guards) {
      if (guard.pid == vm.pid) {
        return {guard_lines(supervisor, guard, wall_now()), api::guard_json(supervisor, guard)};
      }
    }
  }
  const auto reason = look.running.empty()
                          ? look.reason
                          : fmt::format("supervisor {} runs and does not guard this VM: see vms in "
                                        "its configuration",
                                        look.running.front().pid);
  return {{{"guard", "none: " + reason}}, api::no_guard_json(reason)};
}

} // namespace

Exit vm_show(const Common &common, const std::string &target, const std::string &run_folder) {
  const auto vm = hypervisor::resolve_target(target);
  if (!vm) {
    return report(vm.error());
  }
  auto row = examine(common, *vm);
  auto [lines, json] = who_guards(*vm, run_folder);
  if (common.format == Format::Json) {
    row.guarded = std::move(json);
    print_line(store::vm_json(row));
    return Exit::Ok;
  }
  print_vm(row);
  for (const auto &[name, value] : lines) {
    print_line(fmt::format("{:<12} {}", name, value));
  }
  return Exit::Ok;
}

} // namespace outguard::cli
