#include "cli/host_checks.h"

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "facts/guest_text.h"
#include "hypervisor/vm_finder.h"
#include "launch/sensor_process.h"
#include "store/action_journal.h"

namespace outguard::cli {

namespace {

using store::CheckRow;
using Level = CheckRow::Level;

constexpr std::uint64_t kLeastFreeBytes = std::uint64_t{256} << 20;

CheckRow checked(std::string what, const Result<void> &outcome, std::string remedy,
                 Level otherwise = Level::Problem) {
  if (outcome) {
    return {std::move(what), Level::Ok, "", ""};
  }
  return {std::move(what), otherwise, GuestText(outcome.error().message).printable(),
          std::move(remedy)};
}

Result<void> good_if(bool good, const char *otherwise) {
  return good ? Result<void>() : fail(ErrorCode::Unsupported, otherwise);
}

Result<void> open_packet_socket() {
  const Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
  return socket ? Result<void>() : fail_errno("taps cannot be heard: AF_PACKET");
}

/// Asks nf_tables for its generation, which changes nothing.
Result<void> ask_nf_tables() {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  struct {
    nlmsghdr header;
    nfgenmsg body;
  } question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  alignas(nlmsghdr) std::array<char, 4096> answer{};
  pollfd waits{socket.get(), POLLIN, 0};
  if (!socket || ::send(socket.get(), &question, sizeof question, 0) < 0 ||
      ::poll(&waits, 1, 2000) != 1 ||
      ::recv(socket.get(), answer.data(), answer.size(), 0) <
          static_cast<ssize_t>(sizeof(nlmsghdr))) {
    return fail_errno("flows cannot be blocked: nf_tables");
  }
  const auto *header = reinterpret_cast<const nlmsghdr *>(answer.data());
  return good_if(header->nlmsg_type == ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN),
                 "flows cannot be blocked: this kernel has no nf_tables, or not for us");
}

/// A filter is kept there beyond the supervisor's life.
Result<void> look_at_bpffs() {
  constexpr long kMagic = 0xcafe4a11;
  constexpr const char *kPath = "/sys/fs/bpf";
  struct statfs about {};
  return ::statfs(kPath, &about) != 0 || about.f_type != kMagic
             ? fail(ErrorCode::Unsupported, "no bpffs at /sys/fs/bpf: nftables blocks in place of "
                                            "tc-bpf, and sees less below VLAN tags")
         : ::access(kPath, W_OK) == 0
             ? Result<void>()
             : Result<void>(fail_errno("the bpffs at /sys/fs/bpf: nftables blocks in place of "
                                       "tc-bpf"));
}

Result<void> look_at_ptrace_scope() {
  char scope = '0';
  std::ifstream("/proc/sys/kernel/yama/ptrace_scope") >> scope;
  return good_if(scope != '3', "kernel.yama.ptrace_scope is 3: memory of QEMU cannot be read, but "
                               "where it is a file");
}

CheckRow look_for_programs() {
  std::error_code problem;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", problem).parent_path();
  std::string missing;
  for (const auto *program : {"outguardd", "outguard-sensor", "outguard-fetch"}) {
    if (::access((folder / program).c_str(), X_OK) != 0) {
      missing += (missing.empty() ? "" : ", ") + std::string(program);
    }
  }
  return checked("all programs stand together", good_if(missing.empty(), ""),
                 "install anew: missing in " + folder.string() + ": " + missing);
}

CheckRow look_for_vms() {
  const auto vms = hypervisor::find_vms();
  if (!vms) {
    return checked("VMs of this host", tl::unexpected(vms.error()), "run it as root");
  }
  std::size_t deaf = 0;
  for (const auto &vm : *vms) {
    deaf += vm.taps.empty() ? 1U : 0U;
  }
  const auto found = fmt::format("{} QEMU process{}", vms->size(), vms->size() == 1 ? "" : "es");
  if (vms->empty()) {
    return {"VMs of this host", Level::Note, "no QEMU process: there is nothing to guard yet", ""};
  }
  if (deaf != 0) {
    return {"VMs of this host", Level::Problem,
            fmt::format("{}, {} of them without a tap that could be heard", found, deaf),
            "the GAPS below say why"};
  }
  return {"VMs of this host", Level::Ok, found + ", each with a tap", ""};
}

/// That one starts and answers; and what its sandbox lacks, which is the first thing it says.
void check_sensor(std::vector<CheckRow> &checks) {
  auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
  const auto answered = sensor ? launch::get_counters(*sensor).map([](const auto &) {})
                               : Result<void>(tl::unexpected(sensor.error()));
  checks.push_back(checked("sandboxed sensor starts and answers", answered,
                           "nothing is seen of any VM: see the log of the kernel (dmesg)"));
  if (!answered) {
    return;
  }
  bool whole = true;
  if (const auto event = sensor->next_event(std::chrono::milliseconds(0)); event && *event) {
    if (const auto *sandbox = std::get_if<SandboxSeen>(&**event)) {
      for (const auto &gap : sandbox->gaps) {
        whole = false;
        checks.push_back({"whole sandbox", Level::Problem, GuestText(gap).printable(),
                          "a kernel that has it (and `lsm=...,landlock` at its start); sensors run "
                          "without it meanwhile"});
      }
    }
  }
  if (whole) {
    checks.push_back({"whole sandbox", Level::Ok, "seccomp, Landlock and namespaces", ""});
  }
}

} // namespace

std::vector<CheckRow> check_host() {
  std::vector<CheckRow> checks{
      checked("running as root",
              good_if(::geteuid() == 0, "VMs' memory and taps can be opened by root only"),
              "run it as root"),
      look_for_programs(),
      look_for_vms(),
      checked("packet sockets", open_packet_socket(), "as root, `modprobe af_packet`"),
      checked("network namespaces",
              good_if(::access("/proc/self/ns/net", F_OK) == 0,
                      "taps in other namespaces cannot be heard, and sensors keep the host's"),
              "a kernel with CONFIG_NET_NS"),
      checked("nftables", ask_nf_tables(), "as root, `modprobe nf_tables`"),
      checked("bpffs", look_at_bpffs(), "`mount -t bpf bpf /sys/fs/bpf`, as systemd does at boot",
              Level::Note),
      checked("memory of other processes", look_at_ptrace_scope(),
              "kernel.yama.ptrace_scope 0 to 2; from 3 only a restart of the host leads back"),
      checked("KVM",
              good_if(::access("/dev/kvm", R_OK | W_OK) == 0,
                      "no usable /dev/kvm: guests are emulated, slower, and guarded all the same"),
              "", Level::Note)};
  check_sensor(checks);
  return checks;
}

CheckRow check_folder(const StateFolder &folder) {
  struct stat about {};
  const auto what = folder.what + " " + GuestText(folder.path).printable();
  if (::stat(folder.path.c_str(), &about) != 0) {
    return errno == ENOENT
               ? CheckRow{what, Level::Ok, "not there yet: made when it is needed", ""}
               : checked(what, fail_errno("cannot be looked at"), "see its owner and mode");
  }
  if (!S_ISDIR(about.st_mode)) {
    return {what, Level::Problem, "is no folder", "move it away"};
  }
  if (about.st_uid != 0 || (about.st_mode & 022) != 0) {
    return {what, Level::Problem, "others than root may write to it",
            "chown root and chmod go-w: who writes there decides what is matched"};
  }
  struct statvfs space {};
  if (::statvfs(folder.path.c_str(), &space) == 0 &&
      std::uint64_t{space.f_bavail} * space.f_frsize < kLeastFreeBytes) {
    return {what, Level::Problem, "its file system is nearly full", "make room: 256 MiB at least"};
  }
  return {what, Level::Ok, "", ""};
}

CheckRow check_actions_journal(const std::string &folder) {
  const auto path = folder + "/actions.jsonl";
  const auto what = "journal of actions " + GuestText(path).printable();
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
    return {what, Level::Ok, "not there yet: made with the first action", ""};
  }
  const auto read = store::check_journal(path);
  return read ? CheckRow{what, Level::Ok, fmt::format("whole, {} steps", read->lines), ""}
              : checked(what, tl::unexpected(read.error()),
                        "nothing is done by hand until it is put right: keep a copy of the folder, "
                        "then move the file away");
}

} // namespace outguard::cli
