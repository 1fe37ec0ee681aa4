#include "hypervisor/vm_finder.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>

#include "facts/guest_text.h"
#include "hypervisor/inferred_layout.h"
#include "hypervisor/network_namespace.h"
#include "hypervisor/process_directory.h"
#include "hypervisor/qemu_command_line.h"
#include "hypervisor/qmp_client.h"
#include "hypervisor/unix_socket.h"

namespace outguard::hypervisor {

namespace {

constexpr std::size_t kMostProgramName = 4096; // PATH_MAX
constexpr std::size_t kMostDescriptors = 65536;
constexpr std::size_t kMostFdinfoBytes = 4096;
constexpr std::size_t kMostTaps = 64;

/// By its program or argv[0]. The latter is for all to read: a VM of somebody else is recognised
/// without root, too. An error: this process may look at neither.
Result<bool> runs_qemu(const ProcessDirectory &process) {
  const auto program = process.read_link("exe");
  if (program && is_qemu_name(*program)) {
    return true;
  }
  if (!program && program.error().code == ErrorCode::NotFound) {
    return false; // a kernel thread, or gone
  }
  const auto line = process.read_start("cmdline", kMostProgramName);
  if (line) {
    return is_qemu_name(line->substr(0, line->find('\0')));
  }
  return program ? Result<bool>(false) : tl::unexpected(line.error());
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

/// Whatever stands before it: QEMU's /dev may be another file system than ours, or our root. A
/// device number would tell as well, but stat(2) of a disk on a dead NFS server never returns.
constexpr std::string_view kTunDevice = "/net/tun";

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

/// False: could not look.
bool find_taps(const ProcessDirectory &process, VmFound &vm) {
  const auto numbers = process.list("fd", kMostDescriptors);
  if (!numbers) {
    vm.gaps.push_back("taps not found: " + numbers.error().message);
    return false;
  }
  for (const auto &number : *numbers) {
    const auto target = process.read_link("fd/" + number);
    if (!target || !target->ends_with(kTunDevice)) {
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
      vm.gaps.push_back("network namespace of tap " + GuestText(tap.name).printable() +
                        " not found: " + inode.error().message);
    }
    vm.taps.push_back(std::move(tap));
  }
  std::sort(vm.taps.begin(), vm.taps.end(),
            [](const TapFound &one, const TapFound &other) { return one.name < other.name; });
  return true;
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
  if (!started) {
    return tl::unexpected(started.error());
  }
  const auto is_qemu = runs_qemu(*process);
  if (!is_qemu) {
    return tl::unexpected(is_qemu.error());
  }
  if (!*is_qemu) {
    return fail(ErrorCode::NotFound, "process " + std::to_string(pid) + " is not a QEMU");
  }
  VmFound vm;
  vm.pid = pid;
  vm.start_time = *started;
  // From here on it is a VM, and whatever cannot be read is a gap.
  const auto text = process->read("cmdline", kMostCommandLineBytes);
  if (!text && text.error().code == ErrorCode::NotFound) {
    return tl::unexpected(text.error());
  }
  if (text && text->empty()) { // a zombie has no arguments any more
    return fail(ErrorCode::NotFound, "process " + std::to_string(pid) + " has ended");
  }
  if (const auto program = process->read_link("exe");
      !program && program.error().code == ErrorCode::Permission) {
    vm.gaps.emplace_back("needs root: only its command line can be read");
  }
  QemuCommandLine line;
  if (text) {
    line = parse_command_line(split_arguments(*text));
  } else {
    line.gaps.push_back("command line not read: " + text.error().message);
  }
  vm.name = line.name;
  vm.uuid = line.uuid;
  vm.machine = line.machine;
  vm.accel = line.accel;
  vm.memory_bytes = line.memory_bytes;
  vm.gaps.insert(vm.gaps.end(), line.gaps.begin(), line.gaps.end());
  if (vm.uuid.empty() && text) {
    vm.gaps.emplace_back("no UUID on the command line: known by its process only");
  }
  if (!line.qmp_paths.empty()) {
    vm.qmp_path = reachable_path(*process, line.qmp_paths.front());
  } else if (text) {
    const auto inferred = can_infer_layout(line);
    vm.gaps.push_back(
        inferred ? "no QMP socket: memory layout inferred from the machine type and checked; "
                   "enforcement by kill not possible (the VM cannot be paused)"
                 : "no QMP socket: its memory cannot be read: " + inferred.error().message);
  }
  if (const auto netns = process->inode("ns/net")) {
    vm.netns = *netns;
  }
  if (find_taps(*process, vm)) {
    compare_taps(line, vm);
  }
  return vm;
}

Result<std::vector<VmFound>> QemuProcessFinder::find() const {
  auto pids = list_processes();
  if (!pids) {
    return tl::unexpected(pids.error());
  }
  std::sort(pids->begin(), pids->end());
  std::vector<VmFound> vms;
  std::optional<Error> unknown; ///< a process that may be a VM or not
  for (const pid_t pid : *pids) {
    if (auto vm = inspect_qemu(pid)) {
      vms.push_back(std::move(*vm));
    } else if (vm.error().code != ErrorCode::NotFound) {
      unknown = std::move(vm.error());
    }
  }
  if (vms.empty() && unknown) {
    return tl::unexpected(std::move(*unknown)); // not the same as "no VMs"
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
