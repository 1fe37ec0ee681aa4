#include <cstdlib>
#include <ctime>

#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "text.h"
#include "truth.h"

namespace lab {
namespace {

constexpr unsigned long kKernelThreadFlag = 0x00200000; // PF_KTHREAD

long long nanoseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// The first number after `label` in a file such as /proc/meminfo; -1 when it is not there.
long long labelled_number(const std::string &content, const char *label) {
  const size_t at = content.find(label);
  if (at == std::string::npos)
    return -1;
  return std::strtoll(content.c_str() + at + std::char_traits<char>::length(label), nullptr, 10);
}

std::string without_newline(std::string text) {
  if (!text.empty() && text.back() == '\n')
    text.pop_back();
  return text;
}

// The fields of /proc/PID/stat from the third (state) on: the second may hold spaces and brackets.
std::vector<std::string> stat_fields_from_state(const std::string &stat) {
  const size_t end = stat.rfind(')');
  return end == std::string::npos ? std::vector<std::string>() : split(stat.substr(end + 1), ' ');
}

// An empty argument is an argument, so `split` will not do.
std::string json_arguments(const std::string &cmdline) {
  std::string list = "[";
  for (size_t at = 0; at < cmdline.size();) {
    const size_t end = std::min(cmdline.find('\0', at), cmdline.size());
    if (at > 0)
      list += ',';
    list += json_quoted(std::string_view(cmdline).substr(at, end - at));
    at = end + 1;
  }
  return list + "]";
}

// The words of the line of /proc/PID/status that begins with `label`.
std::vector<std::string> status_words(const std::string &status, const std::string &label) {
  const size_t at = status.find("\n" + label + ":\t");
  if (at == std::string::npos)
    return {};
  const size_t begin = at + label.size() + 3;
  return split(status.substr(begin, status.find('\n', begin) - begin), '\t');
}

std::string json_numbers(const std::vector<std::string> &words) {
  std::string list = "[";
  for (const std::string &word : words)
    list += (list.size() > 1 ? "," : "") + word;
  return list + "]";
}

// Inode numbers of /proc/PID/ns by name; null where the link cannot be read.
std::string json_namespaces(const std::string &folder) {
  std::string object = "{";
  for (const char *kind : {"mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time"}) {
    const auto inode = inode_of_link(read_link(folder + "/ns/" + kind), kind);
    object += (object.size() > 1 ? "," : "") + json_quoted(kind) + ":" +
              (inode == 0 ? "null" : std::to_string(inode));
  }
  return object + "}";
}

std::string json_capabilities(const std::string &status) {
  std::string object = "{";
  const std::pair<const char *, const char *> sets[] = {{"inheritable", "CapInh"},
                                                        {"permitted", "CapPrm"},
                                                        {"effective", "CapEff"},
                                                        {"bounding", "CapBnd"},
                                                        {"ambient", "CapAmb"}};
  for (const auto &[name, label] : sets) {
    const auto words = status_words(status, label);
    object += (object.size() > 1 ? "," : "") + json_quoted(name) + ":" +
              (words.empty() ? "null" : json_quoted(words[0]));
  }
  return object + "}";
}

// Of the cgroup v2 line of /proc/PID/cgroup; empty where there is none.
std::string unified_cgroup(const std::string &folder) {
  for (const std::string &line : split(read_file(folder + "/cgroup"), '\n')) {
    if (line.rfind("0::", 0) == 0)
      return line.substr(3);
  }
  return "";
}

// The plain 15 bytes of a kernel thread: /proc/PID/comm adds what a kworker works at.
std::string task_name(const std::string &folder) {
  const std::string sched = read_file(folder + "/sched");
  const size_t line_end = std::min(sched.find('\n'), sched.size());
  const size_t end = sched.rfind(" (", line_end);
  return end == std::string::npos ? std::string() : sched.substr(0, end);
}

} // namespace

unsigned long long inode_of_link(const std::string &target, const char *kind) {
  const std::string start = std::string(kind) + ":[";
  if (target.rfind(start, 0) != 0)
    return 0;
  return std::strtoull(target.c_str() + start.size(), nullptr, 10);
}

void append_system(std::string &output) {
  utsname names{};
  uname(&names);
  const std::string memory = read_file("/proc/meminfo");
  output += JsonLine("system")
                .text("release", names.release)
                .number("clk_tck", sysconf(_SC_CLK_TCK))
                .number("boot_time_ns", nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_BOOTTIME))
                .number("processors", sysconf(_SC_NPROCESSORS_ONLN))
                .number("memory_kib", labelled_number(memory, "MemTotal:"))
                .boolean("la57", read_file("/proc/cpuinfo").find(" la57") != std::string::npos)
                .finish();
}

std::vector<ProcessIdentity> append_processes(std::string &output) {
  std::vector<ProcessIdentity> identities;
  for (const std::string &name : folder_entries("/proc")) {
    const long pid = std::strtol(name.c_str(), nullptr, 10);
    if (pid <= 0)
      continue;
    const std::string folder = "/proc/" + name;
    const auto fields = stat_fields_from_state(read_file(folder + "/stat"));
    if (fields.size() < 20)
      continue; // gone since the folder was listed
    const std::string comm = without_newline(read_file(folder + "/comm"));
    const bool is_kernel_thread =
        (std::strtoul(fields[6].c_str(), nullptr, 10) & kKernelThreadFlag) != 0;
    const std::string status = read_file(folder + "/status");
    JsonLine line("process");
    line.number("pid", pid)
        .number("ppid", std::strtol(fields[1].c_str(), nullptr, 10))
        .text("comm", comm)
        .text_or_null("task_comm", is_kernel_thread ? task_name(folder) : comm)
        .text_or_null("exe", read_link(folder + "/exe"))
        .raw("cmdline", json_arguments(read_file(folder + "/cmdline")))
        .number("uid", labelled_number(status, "\nUid:"))
        .number("start_ticks", std::strtoll(fields[19].c_str(), nullptr, 10))
        .number("netns",
                static_cast<long long>(inode_of_link(read_link(folder + "/ns/net"), "net")))
        .text("state", fields[0])
        .boolean("kernel_thread", is_kernel_thread)
        .number("threads", labelled_number(status, "\nThreads:"))
        .raw("uids", json_numbers(status_words(status, "Uid")))
        .raw("gids", json_numbers(status_words(status, "Gid")))
        .raw("capabilities", json_capabilities(status))
        .raw("namespace_pids", json_numbers(status_words(status, "NSpid")))
        .raw("namespaces", json_namespaces(folder))
        .text_or_null("cgroup", unified_cgroup(folder));
    output += line.finish();
    identities.push_back({pid, comm});
  }
  return identities;
}

} // namespace lab
