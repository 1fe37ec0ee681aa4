// sockets, who: who in a guest holds which socket.
#include <algorithm>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/problems.h"
#include "cli/process_table.h"
#include "cli/target.h"
#include "store/json_lines.h"
#include "store/socket_words.h"

namespace outguard::cli {

namespace {

template <class Socket> std::string owners_of(const Socket &socket) {
  std::string text;
  for (const auto &owner : socket.owners) {
    text += fmt::format("{}{}[{}]", text.empty() ? "" : ", ", owner.comm.printable(),
                        owner.process.pid);
    text += owner.fd >= 0 ? fmt::format(" fd {}", owner.fd) : "";
    text += owner.hold == Hold::Descriptor ? "" : fmt::format(" ({})", to_string(owner.hold));
  }
  return text.empty() ? std::string("(") + to_string(socket.owner_status) + ")" : text;
}

std::string number_or_unknown(const std::optional<std::uint64_t> &number) {
  return number ? std::to_string(*number) : "?";
}

void print_socket_table(const std::vector<SocketSeen> &rows) {
  Table shown({"PROTO", "STATE", "LOCAL", "REMOTE", "NETNS", "OWNERS"});
  for (const auto &row : rows) {
    const auto protocol = row.raw ? "raw" : protocol_name(row.protocol);
    shown.add({protocol + (row.family == IpFamily::V6 ? "6" : ""), to_string(row.state),
               row.local.to_string(), row.remote.to_string(), number_or_unknown(row.netns),
               (row.hidden ? "HIDDEN " : "") + owners_of(row)});
  }
  shown.print();
}

void print_other_table(const std::vector<OtherSocketSeen> &rows) {
  Table shown({"FAMILY", "TYPE", "PROTO", "STATE", "LOCAL", "PEER", "INODE", "NETNS", "OWNERS"});
  for (const auto &row : rows) {
    shown.add({store::family_name(row.family), store::type_name(row.type), store::protocol_of(row),
               to_string(row.state), row.local.printable(), row.remote.printable(),
               std::to_string(row.inode), number_or_unknown(row.netns), owners_of(row)});
  }
  shown.print();
}

Exit all_sockets(const Common &common, OpenedTarget &opened) {
  const auto all = launch::list_all_sockets(opened.sensor);
  if (!all) {
    return report(all.error());
  }
  if (common.format == Format::Json) {
    for (const auto &row : all->ip) {
      print_line(store::socket_json(opened.name, row));
    }
    for (const auto &row : all->others) {
      print_line(store::other_socket_json(opened.name, row));
    }
  } else {
    print_socket_table(all->ip);
    print_line("");
    print_other_table(all->others);
  }
  return end_with(all->completeness);
}

} // namespace

Exit sockets(const Common &common, const std::string &target, bool all) {
  auto opened = open_target(target, common.patience, launch::SymbolFiles(common.symbols));
  if (!opened) {
    return report(opened.error());
  }
  if (all) {
    return all_sockets(common, *opened);
  }
  const auto table = launch::list_sockets(opened->sensor);
  if (!table) {
    return report(table.error());
  }
  if (common.format == Format::Json) {
    for (const auto &row : table->rows) {
      print_line(store::socket_json(opened->name, row));
    }
  } else {
    print_socket_table(table->rows);
  }
  return end_with(table->completeness);
}

Exit who(const Common &common, const std::string &target, const std::string &protocol,
         const std::string &local, const std::string &remote) {
  const auto local_end = Endpoint::parse(local);
  const auto remote_end = Endpoint::parse(remote);
  if (!local_end || !remote_end) {
    complain("an endpoint is ADDRESS:PORT or [ADDRESS]:PORT");
    return Exit::Usage;
  }
  const auto number = protocol == "tcp" ? IpProtocol::Tcp : IpProtocol::Udp;
  auto opened = open_target(target, common.patience, launch::SymbolFiles(common.symbols));
  if (!opened) {
    return report(opened.error());
  }
  const auto found = launch::find_owner(
      opened->sensor, {static_cast<std::uint8_t>(number), *local_end, *remote_end});
  if (!found) {
    return report(found.error());
  }
  const auto &attribution = found->attribution;
  if (common.format == Format::Json) {
    print_line(store::attribution_json(opened->name, attribution));
  } else {
    print_line(fmt::format("{} {} -> {}: {} in {:.0f} us", protocol, local, remote,
                           to_string(attribution.status),
                           static_cast<double>(attribution.latency_ns) / 1e3));
    if (!attribution.processes.empty()) {
      print_process_table(attribution.processes, false);
      print_line("started by " + starters_of(attribution.processes.front(), attribution.ancestors,
                                             attribution.ancestors_cut));
    }
  }
  return attribution.processes.empty() ? Exit::NotFound : Exit::Ok;
}

} // namespace outguard::cli
