// vm list, vm show, doctor: what is seen, and the reason for each gap.
#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/problems.h"
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

Exit vm_show(const Common &common, const std::string &target) {
  const auto vm = hypervisor::resolve_target(target);
  if (!vm) {
    return report(vm.error());
  }
  const auto row = examine(common, *vm);
  if (common.format == Format::Json) {
    print_line(store::vm_json(row));
  } else {
    print_vm(row);
  }
  return Exit::Ok;
}

namespace {

struct Check {
  std::string what;
  bool good;
  std::string otherwise; ///< what it means that it is not
};

std::vector<Check> check_host() {
  auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
  const auto answered = sensor ? launch::get_counters(*sensor).map([](const auto &) {})
                               : Result<void>(tl::unexpected(sensor.error()));
  std::vector<Check> checks{
      {"running as root", ::geteuid() == 0, "VMs' memory and taps can be opened by root only"},
      {"packet sockets", ::access("/proc/net/packet", F_OK) == 0, "taps cannot be heard"},
      {"network namespaces", ::access("/proc/self/ns/net", F_OK) == 0,
       "taps in other namespaces cannot be heard, and sensors keep the host's"},
      {"sandboxed sensor starts and answers", answered.has_value(),
       answered ? "" : answered.error().message}};
  // What the sandbox lacks, if anything, is the first thing a sensor says.
  if (const auto event = sensor ? sensor->next_event(std::chrono::milliseconds(0))
                                : Result<std::optional<Report>>(std::nullopt);
      event && *event) {
    if (const auto *sandbox = std::get_if<SandboxSeen>(&**event)) {
      for (const auto &gap : sandbox->gaps) {
        checks.push_back({"whole sandbox", false, gap});
      }
    }
  }
  return checks;
}

} // namespace

Exit doctor(const Common &common) {
  bool good = true;
  for (const auto &check : check_host()) {
    good = good && check.good;
    if (common.format == Format::Json) {
      print_line(store::check_json(check.what, check.good, check.otherwise));
    } else {
      print_line(fmt::format("{:<4} {}{}{}", check.good ? "ok" : "NO", check.what,
                             check.good ? "" : ": ", check.good ? "" : check.otherwise));
    }
  }
  const auto listed = vm_list(common);
  return good ? listed : Exit::Failed;
}

} // namespace outguard::cli
