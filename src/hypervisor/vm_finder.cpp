#include "hypervisor/vm_finder.h"

#include <algorithm>
#include <charconv>

#include <fcntl.h>
#include <sys/stat.h>

#include "facts/guest_text.h"
#include "hypervisor/network_namespace.h"
#include "hypervisor/process_directory.h"
#include "hypervisor/qemu_command_line.h"
#include "hypervisor/qmp_client.h"
#include "hypervisor/unix_socket.h"

namespace outguard::hypervisor {

namespace {

/// The kernel's limit for one argument is 128 KiB; libvirt's longest lines are below 64 KiB in all.
constexpr std::size_t kMostCommandLineBytes = std::size_t{256} * 1024;
constexpr std::size_t kMostDescriptors = 65536;
constexpr std::size_t kMostFdinfoBytes = 4096;
constexpr std::size_t kMostTaps = 64;

/// Reading argv[0] would be enough, but /proc gives a file no cheaper in part than whole.
bool runs_qemu(const ProcessDirectory &process) {
  const auto program = process.read_link("exe");
  if (!program) {
    return false; // a kernel thread, or gone
  }
  if (is_qemu_name(*program)) {
    return true;
  }
  const auto line = process.read("cmdline", kMostCommandLineBytes);
  return line && is_qemu_name(line->substr(0, line->find('\0')));
}

bool same_file(const std::string &one, const std::string &other) {
  struct stat a {};
  struct stat b {};
  return ::stat(one.c_str(), &a) == 0 && ::stat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

/// A path of QEMU's, as this process can reach it: QEMU may have another root, mount namespace or
/// working folder.
std::string reachable_path(const ProcessDirectory &process, const std::string &path) {
  const std::string base = "/proc/" + std::to_string(process.pid());
  if (path.starts_with('/')) {
    const std::string inside = base + "/root" + path;
    return same_file(path, inside) ? path : inside;
  }
  const std::string inside = base + "/cwd/" + path;
  const auto folder = process.read_link("cwd");
  const std::string plain = folder ? *folder + "/" + path : inside;
  return same_file(plain, inside) ? plain : inside;
}

/// tun_chr_show_fdinfo() (Linux 3.8) writes "iff:\tNAME".
std::string tap_of_descriptor(const ProcessDirectory &process, const std::string &number) {
  const auto info = process.read("fdinfo/" + number, kMostFdinfoBytes);
  constexpr std::string_view kKey = "iff:\t";
  const auto at = info ? info->find(kKey) : std::string::npos;
  if (at == std::string::npos) {
    return {};
  }
  const auto start = at + kKey.size();
  return info->substr(start, info->find('\n', start) - start);
}

void find_taps(const ProcessDirectory &process, VmFound &vm) {
  const auto numbers = process.list("fd", kMostDescriptors);
  if (!numbers) {
    vm.gaps.push_back("taps not found: " + numbers.error().message);
    return;
  }
  for (const auto &number : *numbers) {
    const auto target = process.read_link("fd/" + number);
    if (!target || !target->starts_with("/dev/net/tun")) {
      if (target && target->starts_with("/dev/tap")) {
        vm.gaps.emplace_back("a macvtap device: its packets cannot be seen");
      }
      continue;
    }
    TapFound tap;
    tap.name = tap_of_descriptor(process, number);
    std::from_chars(number.data(), number.data() + number.size(), tap.qemu_fd);
    const bool known = std::any_of(vm.taps.begin(), vm.taps.end(), [&](const TapFound &other) {
      return other.name == tap.name; // one descriptor a queue
    });
    if (tap.name.empty() || known) {
      continue;
    }
    if (vm.taps.size() == kMostTaps) {
      vm.gaps.emplace_back("more than 64 taps: the others are not guarded");
      break;
    }
    const auto netns = open_tap_namespace(vm, tap);
    const auto inode = netns ? namespace_inode(*netns) : tl::unexpected(netns.error());
    if (inode) {
      tap.netns = *inode;
    } else {
      vm.gaps.push_back("network namespace of tap " + tap.name +
                        " not found: " + inode.error().message);
    }
    vm.taps.push_back(std::move(tap));
  }
  std::sort(vm.taps.begin(), vm.taps.end(),
            [](const TapFound &one, const TapFound &other) { return one.name < other.name; });
}

void compare_taps(const QemuCommandLine &line, VmFound &vm) {
  for (const auto &name : line.tap_names) {
    const bool held = std::any_of(vm.taps.begin(), vm.taps.end(),
                                  [&](const TapFound &tap) { return tap.name == name; });
    if (!held) {
      vm.gaps.push_back("tap " + GuestText(name).printable() +
                        " is on the command line, and QEMU does not hold it open");
    }
  }
  if (vm.taps.empty()) {
    vm.gaps.emplace_back("no tap: no packets can be seen");
  }
}

} // namespace

Result<VmFound> inspect_qemu(pid_t pid) {
  const auto process = ProcessDirectory::open(pid);
  if (!process) {
    return tl::unexpected(process.error());
  }
  const auto started = process->start_time();
  if (!started || !runs_qemu(*process)) {
    return fail(ErrorCode::NotFound, "process " + std::to_string(pid) + " is not a QEMU");
  }
  VmFound vm;
  vm.pid = pid;
  vm.start_time = *started;
  const auto text = process->read("cmdline", kMostCommandLineBytes);
  if (!text) {
    return tl::unexpected(text.error());
  }
  if (text->empty()) { // a zombie has no arguments any more
    return fail(ErrorCode::NotFound, "process " + std::to_string(pid) + " has ended");
  }
  const auto arguments = split_arguments(*text);
  auto line = parse_command_line(arguments);
  vm.name = line.name;
  vm.uuid = line.uuid;
  vm.machine = line.machine;
  vm.accel = line.accel;
  vm.memory_bytes = line.memory_bytes;
  vm.gaps = std::move(line.gaps);
  if (vm.uuid.empty()) {
    vm.gaps.emplace_back("no UUID on the command line: known by its process only");
  }
  if (line.qmp_paths.empty()) {
    vm.gaps.emplace_back("no QMP socket: its memory cannot be read");
  } else {
    vm.qmp_path = reachable_path(*process, line.qmp_paths.front());
  }
  if (const auto netns = process->inode("ns/net")) {
    vm.netns = *netns;
  }
  find_taps(*process, vm);
  compare_taps(line, vm);
  return vm;
}

Result<std::vector<VmFound>> QemuProcessFinder::find() const {
  auto pids = list_processes();
  if (!pids) {
    return tl::unexpected(pids.error());
  }
  std::sort(pids->begin(), pids->end());
  std::vector<VmFound> vms;
  for (const pid_t pid : *pids) {
    if (auto vm = inspect_qemu(pid)) {
      vms.push_back(std::move(*vm));
    }
  }
  // Clones made by copying a command line: the UUID is no key then, and somebody must be told.
  for (auto &vm : vms) {
    for (const auto &other : vms) {
      if (!vm.uuid.empty() && vm.pid != other.pid && vm.uuid == other.uuid) {
        vm.gaps.push_back("its UUID is also that of process " + std::to_string(other.pid));
      }
    }
  }
  return vms;
}

Result<std::vector<VmFound>> find_vms() {
  return QemuProcessFinder().find();
}

Result<VmFound> choose_vm(std::string_view name_or_uuid, const std::vector<VmFound> &vms) {
  std::vector<const VmFound *> fitting;
  for (const auto &vm : vms) {
    if (vm.name == name_or_uuid || vm.key() == name_or_uuid) {
      fitting.push_back(&vm);
    }
  }
  const std::string shown = GuestText(std::string(name_or_uuid)).printable();
  if (fitting.empty()) {
    return fail(ErrorCode::NotFound, "no VM is named " + shown);
  }
  if (fitting.size() == 1) {
    return *fitting.front();
  }
  std::string message = "several VMs are named " + shown + ":";
  for (const auto *vm : fitting) {
    message += " pid:" + std::to_string(vm->pid) + (vm->uuid.empty() ? "" : " (" + vm->uuid + ")");
  }
  return fail(ErrorCode::InvalidInput, message);
}

Result<VmFound> resolve_target(std::string_view target) {
  constexpr std::string_view kQmp = "qmp:";
  constexpr std::string_view kPid = "pid:";
  if (target.starts_with(kPid)) {
    const auto digits = target.substr(kPid.size());
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
    if (error != std::errc{} || end != digits.data() + digits.size() || pid <= 0) {
      return fail(ErrorCode::InvalidInput,
                  "not a process id: " + GuestText(std::string(digits)).printable());
    }
    return inspect_qemu(pid);
  }
  if (target.starts_with(kQmp)) {
    const std::string path(target.substr(kQmp.size()));
    const auto peer = connect_unix(path, QmpClient::kDefaultWait);
    if (!peer) {
      return tl::unexpected(peer.error());
    }
    auto vm = inspect_qemu(peer->pid);
    if (vm) {
      vm->qmp_path = path;
    }
    return vm;
  }
  auto vms = find_vms();
  return vms ? choose_vm(target, *vms) : tl::unexpected(vms.error());
}

} // namespace outguard::hypervisor
