// ps --pid: one process in depth, as a card for the analyst.
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/problems.h"
#include "cli/process_table.h"
#include "cli/target.h"
#include "launch/describe_process.h"
#include "store/process_detail_json.h"

namespace outguard::cli {

namespace {

/// include/uapi/linux/capability.h, by bit.
constexpr std::array<std::string_view, 41> kCapabilities = {"chown",
                                                            "dac_override",
                                                            "dac_read_search",
                                                            "fowner",
                                                            "fsetid",
                                                            "kill",
                                                            "setgid",
                                                            "setuid",
                                                            "setpcap",
                                                            "linux_immutable",
                                                            "net_bind_service",
                                                            "net_broadcast",
                                                            "net_admin",
                                                            "net_raw",
                                                            "ipc_lock",
                                                            "ipc_owner",
                                                            "sys_module",
                                                            "sys_rawio",
                                                            "sys_chroot",
                                                            "sys_ptrace",
                                                            "sys_pacct",
                                                            "sys_admin",
                                                            "sys_boot",
                                                            "sys_nice",
                                                            "sys_resource",
                                                            "sys_time",
                                                            "sys_tty_config",
                                                            "mknod",
                                                            "lease",
                                                            "audit_write",
                                                            "audit_control",
                                                            "setfcap",
                                                            "mac_override",
                                                            "mac_admin",
                                                            "syslog",
                                                            "wake_alarm",
                                                            "block_suspend",
                                                            "audit_read",
                                                            "perfmon",
                                                            "bpf",
                                                            "checkpoint_restore"};

/// "none", "all", or the names; of nearly all, those that are missing.
std::string capability_names(std::uint64_t set, std::uint64_t all) {
  const auto listed = [](std::uint64_t bits) {
    std::string names;
    for (unsigned bit = 0; bit < 64; ++bit) {
      if ((bits >> bit & 1) != 0) {
        names += (names.empty() ? "" : ", ") + (bit < kCapabilities.size()
                                                    ? std::string(kCapabilities.at(bit))
                                                    : "bit " + std::to_string(bit));
      }
    }
    return names;
  };
  if (set == 0) {
    return "none";
  }
  if (set == all) {
    return "all";
  }
  const bool nearly_all = __builtin_popcountll(all & ~set) * 2 < __builtin_popcountll(all);
  return nearly_all && (set & ~all) == 0 ? "all but " + listed(all & ~set) : listed(set);
}

std::string or_unknown(const std::optional<GuestText> &text, const char *when_empty) {
  return !text ? "?" : text->empty() ? when_empty : text->printable();
}

template <class Number> std::string or_unknown(const std::optional<Number> &number) {
  return number ? std::to_string(*number) : "?";
}

void show(std::string_view name, const std::string &value) {
  print_line(fmt::format("{:<12}{}", name, value));
}

std::string hash_line(const FileHash &hash) {
  switch (hash.status) {
  case FileHash::Status::Complete:
    return store::hex(hash.sha256);
  case FileHash::Status::Partial:
    return fmt::format("none: {} of {} bytes are in the guest's memory", hash.resident_bytes,
                       hash.file_bytes);
  case FileHash::Status::Changed:
    return "none: the file was written while it was read";
  case FileHash::Status::TooLarge:
    return fmt::format("none: {} bytes are more than is read", hash.file_bytes);
  case FileHash::Status::Unreadable:
    break;
  }
  return "none: its page cache cannot be found";
}

void show_namespaces(const NamespacesSeen &seen) {
  std::string line;
  const std::pair<const char *, const std::optional<std::uint64_t> &> all[] = {
      {"mnt", seen.mnt}, {"pid", seen.pid},   {"net", seen.net},       {"ipc", seen.ipc},
      {"uts", seen.uts}, {"user", seen.user}, {"cgroup", seen.cgroup}, {"time", seen.time}};
  for (const auto &[name, inode] : all) {
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", name, or_unknown(inode));
  }
  show("namespaces", line);
}

void show_credentials(const std::optional<Credentials> &seen) {
  if (!seen) {
    return show("ids", "?");
  }
  const auto &c = *seen;
  show("uid",
       fmt::format("{} (effective {}, saved {}, file system {})", c.uid, c.euid, c.suid, c.fsuid));
  show("gid",
       fmt::format("{} (effective {}, saved {}, file system {})", c.gid, c.egid, c.sgid, c.fsgid));
  // What no process of this kernel lacks for want of a name: the bounding set knows them all.
  const std::uint64_t all = c.bounding | c.permitted | c.inheritable;
  show("effective", capability_names(c.effective, all));
  show("permitted", capability_names(c.permitted, all));
  show("bounding",
       c.bounding == all && c.permitted == all ? "all" : capability_names(c.bounding, all));
  if ((c.inheritable | c.ambient) != 0) {
    show("inheritable", capability_names(c.inheritable, all));
    show("ambient", capability_names(c.ambient, all));
  }
}

void show_card(const ProcessDetail &detail) {
  const auto &p = detail.process;
  show("pid", fmt::format("{} (in its own namespace {}), parent {}", p.identity.pid,
                          or_unknown(p.namespace_pid), or_unknown(p.ppid)));
  show("name", p.comm.printable() + (p.kernel_thread ? " (kernel thread)" : "") +
                   (p.exited ? " (exited)" : ""));
  show("command", command_line(p));
  if (!p.kernel_thread) {
    show("executable",
         or_unknown(p.exe, "?") + (p.exe_deleted.value_or(false) ? " (deleted)" : ""));
  }
  if (detail.executable) {
    show("sha256", hash_line(*detail.executable));
  }
  show("started", p.start_time_ns
                      ? rfc3339_timestamp(WallTime(std::chrono::nanoseconds(*p.start_time_ns)))
                      : "?");
  show("started by", starters_of(p, detail.ancestors, detail.ancestors_cut));
  show_credentials(p.credentials);
  show_namespaces(p.namespaces);
  show("cgroup", or_unknown(p.cgroup, "none"));
  show("container", or_unknown(p.container, "none"));
  show("unit", or_unknown(p.unit, "none"));
  for (const auto &thread : detail.threads) {
    show(&thread == &detail.threads.front() ? "threads" : "",
         fmt::format("{} {} {}", thread.tid, state_letter(thread.state), thread.comm.printable()));
  }
}

void show_maps(const std::vector<MapSeen> &maps) {
  Table table({"START", "END", "PERM", "OFFSET", "INODE", "PATH"});
  for (const auto &map : maps) {
    table.add({fmt::format("{:x}", map.start), fmt::format("{:x}", map.end),
               store::permissions(map), fmt::format("{:x}", map.offset), std::to_string(map.inode),
               or_unknown(map.path, "") + (map.deleted ? " (deleted)" : "")});
  }
  table.print();
}

} // namespace

Exit ps_one(const Common &common, const std::string &target, const OneProcess &wanted) {
  auto opened = open_target(target, common.patience, launch::SymbolFiles(common.symbols));
  if (!opened) {
    return report(opened.error());
  }
  const auto seen = launch::describe_process(opened->sensor, wanted.pid,
                                             {.hash = wanted.hash, .maps = wanted.maps});
  if (!seen) {
    return report(seen.error());
  }
  if (common.format == Format::Json) {
    print_line(store::process_detail_json(opened->name, seen->detail));
    for (const auto &map : seen->maps ? seen->maps->rows : std::vector<MapSeen>{}) {
      print_line(store::map_json(opened->name, seen->detail.process.identity.pid, map));
    }
  } else {
    show_card(seen->detail);
    if (seen->maps) {
      show_maps(seen->maps->rows);
    }
  }
  if (seen->detail.process.torn) {
    complain("partial: the process changed while it was read");
    return Exit::Partial;
  }
  if (seen->maps && seen->maps->completeness.partial) {
    complain("partial: " + seen->maps->completeness.reason);
    return Exit::Partial;
  }
  return Exit::Ok;
}

} // namespace outguard::cli
