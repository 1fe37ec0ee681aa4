#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <tuple>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "text.h"
#include "truth.h"

namespace lab {
namespace {

struct Table {
  const char *file; // below /proc/PID/net
  const char *proto;
  bool is_ipv6;
};

constexpr Table kTables[] = {
    {"tcp", "tcp", false},   {"tcp6", "tcp", true},         {"udp", "udp", false},
    {"udp6", "udp", true},   {"udplite", "udplite", false}, {"udplite6", "udplite", true},
    {"raw", "raw", false},   {"raw6", "raw", true},         {"icmp", "icmp", false},
    {"icmp6", "icmp", true},
};

// The kernel's own names, include/net/tcp_states.h, by number.
constexpr const char *kStates[] = {
    "?",     "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",   "TIME_WAIT",
    "CLOSE", "CLOSE_WAIT",  "LAST_ACK", "LISTEN",   "CLOSING",   "NEW_SYN_RECV"};

struct Owner {
  long pid;
  long fd;
  std::string comm;
  bool operator<(const Owner &other) const {
    return std::tie(pid, fd) < std::tie(other.pid, other.fd);
  }
};

struct Ownership {
  std::map<unsigned long long, std::set<Owner>> owners; // socket inode -> who holds it
  std::map<unsigned long long, std::string> namespaces; // netns inode -> a /proc folder inside it
};

// One thread's view: its network namespace and its descriptors (a thread may have its own of both).
void add_thread(const ProcessIdentity &process, const std::string &folder, Ownership &found) {
  if (const auto netns = inode_of_link(read_link(folder + "/ns/net"), "net"); netns != 0) {
    found.namespaces.emplace(netns, folder);
  }
  for (const std::string &fd : folder_entries(folder + "/fd")) {
    const auto inode = inode_of_link(read_link(folder + "/fd/" + fd), "socket");
    if (inode != 0)
      found.owners[inode].insert({process.pid, std::strtol(fd.c_str(), nullptr, 10), process.comm});
  }
}

Ownership find_owners(const std::vector<ProcessIdentity> &processes) {
  Ownership found;
  for (const ProcessIdentity &process : processes) {
    const std::string tasks = "/proc/" + std::to_string(process.pid) + "/task";
    for (const std::string &thread : folder_entries(tasks))
      add_thread(process, tasks + "/" + thread, found);
  }
  return found;
}

// "0100007F" or 32 digits: 4-byte words in host order, as the kernel prints them.
std::string address_text(const std::string &hex, bool is_ipv6) {
  unsigned char bytes[16] = {};
  const size_t words = is_ipv6 ? 4 : 1;
  if (hex.size() != words * 8)
    return "?";
  for (size_t word = 0; word < words; ++word) {
    const auto value =
        static_cast<uint32_t>(std::strtoul(hex.substr(word * 8, 8).c_str(), nullptr, 16));
    std::memcpy(bytes + word * 4, &value, sizeof value);
  }
  char text[INET6_ADDRSTRLEN] = "?";
  inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, bytes, text, sizeof text);
  return text;
}

std::string json_owners(const std::set<Owner> &owners) {
  std::string list = "[";
  for (const Owner &owner : owners) {
    if (list.size() > 1)
      list += ',';
    list += "{\"pid\":" + std::to_string(owner.pid) + ",\"fd\":" + std::to_string(owner.fd) +
            ",\"comm\":" + json_quoted(owner.comm) + "}";
  }
  return list + "]";
}

// " 0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 12345 ..."
void append_socket(const Table &table, const std::string &row, unsigned long long netns,
                   const Ownership &ownership, std::string &output) {
  const auto fields = split(row, ' ');
  if (fields.size() < 10)
    return;
  const auto local = split(fields[1], ':'), remote = split(fields[2], ':');
  if (local.size() != 2 || remote.size() != 2)
    return;
  const size_t state = std::strtoul(fields[3].c_str(), nullptr, 16);
  const auto inode = std::strtoull(fields[9].c_str(), nullptr, 10);
  const auto owners = inode == 0 ? ownership.owners.end() : ownership.owners.find(inode);
  output +=
      JsonLine("socket")
          .text("family", table.is_ipv6 ? "inet6" : "inet")
          .text("proto", table.proto)
          .text("state", state < std::size(kStates) ? kStates[state] : "?")
          .text("local_ip", address_text(local[0], table.is_ipv6))
          .number("local_port", std::strtol(local[1].c_str(), nullptr, 16))
          .text("remote_ip", address_text(remote[0], table.is_ipv6))
          .number("remote_port", std::strtol(remote[1].c_str(), nullptr, 16))
          .number("inode", static_cast<long long>(inode))
          .number("netns", static_cast<long long>(netns))
          .raw("owners", owners == ownership.owners.end() ? "[]" : json_owners(owners->second))
          .finish();
}

std::string decimal(const std::string &text, int base) {
  return std::to_string(std::strtoull(text.c_str(), nullptr, base));
}

// What all rows of other families have; `type` and `proto` are the kernel's numbers.
JsonLine other_socket(const char *family, const std::string &type, const std::string &proto,
                      const std::string &inode, unsigned long long netns,
                      const Ownership &ownership) {
  const auto number = std::strtoull(inode.c_str(), nullptr, 10);
  const auto owners = number == 0 ? ownership.owners.end() : ownership.owners.find(number);
  JsonLine line("other_socket");
  line.text("family", family)
      .raw("type", type)
      .raw("proto", proto)
      .number("inode", static_cast<long long>(number))
      .number("netns", static_cast<long long>(netns))
      .raw("owners", owners == ownership.owners.end() ? "[]" : json_owners(owners->second));
  return line;
}

// "0000000000000000: 00000002 00000000 00010000 0001 01 12345 /path": the path may have blanks.
void append_unix(const std::string &row, unsigned long long netns, const Ownership &ownership,
                 std::string &output) {
  const auto fields = split(row, ' ');
  if (fields.size() < 7)
    return;
  size_t name_at = 0; // behind the seven fields and one blank
  for (int field = 0; field < 7; ++field)
    name_at = row.find(' ', row.find_first_not_of(' ', name_at));
  output += other_socket("unix", decimal(fields[4], 16), "0", fields[6], netns, ownership)
                .text("local", name_at < row.size() ? row.substr(name_at + 1) : "")
                .boolean("listens", fields[3] == "00010000")
                .finish();
}

// "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode"
void append_netlink(const std::string &row, unsigned long long netns, const Ownership &ownership,
                    std::string &output) {
  const auto fields = split(row, ' ');
  if (fields.size() < 10)
    return;
  output += other_socket("netlink", "0", decimal(fields[1], 10), fields[9], netns, ownership)
                .text("local", decimal(fields[2], 10))
                .raw("groups", decimal(fields[3], 16))
                .finish();
}

// "sk RefCnt Type Proto Iface R Rmem User Inode"
void append_packet(const std::string &row, unsigned long long netns, const Ownership &ownership,
                   std::string &output) {
  const auto fields = split(row, ' ');
  if (fields.size() < 9)
    return;
  output += other_socket("packet", fields[2], decimal(fields[3], 16), fields[8], netns, ownership)
                .raw("interface_index", decimal(fields[4], 10))
                .finish();
}

using AppendOther = void (*)(const std::string &, unsigned long long, const Ownership &,
                             std::string &);
constexpr std::pair<const char *, AppendOther> kOtherTables[] = {
    {"unix", append_unix}, {"netlink", append_netlink}, {"packet", append_packet}};

} // namespace

void append_sockets(const std::vector<ProcessIdentity> &processes, std::string &output) {
  const Ownership ownership = find_owners(processes);
  for (const auto &[netns, folder] : ownership.namespaces) {
    for (const Table &table : kTables) {
      auto rows = split(read_file(folder + "/net/" + table.file), '\n');
      for (size_t row = 1; row < rows.size(); ++row)
        append_socket(table, rows[row], netns, ownership, output);
    }
    for (const auto &[file, append] : kOtherTables) {
      const auto rows = split(read_file(folder + "/net/" + file), '\n');
      for (size_t row = 1; row < rows.size(); ++row)
        append(rows[row], netns, ownership, output);
    }
  }
}

} // namespace lab
