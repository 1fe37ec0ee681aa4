// ps, sockets, who: what a sensor read in one guest.
#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/problems.h"
#include "cli/target.h"
#include "store/json_lines.h"

namespace outguard::cli {

namespace {

std::string printable(const std::optional<GuestText> &text) {
  return text ? text->printable() : "?";
}

std::string command_of(const ProcessSeen &process) {
  if (process.kernel_thread) {
    return "[" + process.comm.printable() + "]";
  }
  if (!process.cmdline) {
    return "?";
  }
  std::string line;
  for (const auto &argument : *process.cmdline) {
    line += (line.empty() ? "" : " ") + argument.printable();
  }
  return line;
}

/// Says on stderr what is missing, so that a partial table is never taken for a whole one.
Exit end_with(const Completeness &completeness) {
  if (!completeness.partial) {
    return Exit::Ok;
  }
  complain("partial: " + completeness.reason);
  return Exit::Partial;
}

/// Rows in the order of a tree walk, each with its depth. Parents that are not listed make roots.
std::vector<std::pair<const ProcessSeen *, std::size_t>>
tree_order(const std::vector<ProcessSeen> &rows) {
  std::map<std::int32_t, std::vector<const ProcessSeen *>> children;
  std::set<std::int32_t> pids;
  for (const auto &row : rows) {
    pids.insert(row.identity.pid);
  }
  std::vector<std::pair<const ProcessSeen *, std::size_t>> order;
  std::vector<std::pair<const ProcessSeen *, std::size_t>> stack;
  for (const auto &row : rows) {
    if (row.ppid && pids.contains(*row.ppid) && row.ppid != row.identity.pid) {
      children[*row.ppid].push_back(&row);
    } else {
      stack.emplace_back(&row, 0);
    }
  }
  std::reverse(stack.begin(), stack.end());
  std::set<std::int32_t> shown; // a guest may claim a cycle of parents
  while (!stack.empty()) {
    const auto [row, depth] = stack.back();
    stack.pop_back();
    if (!shown.insert(row->identity.pid).second) {
      continue;
    }
    order.emplace_back(row, depth);
    const auto &below = children[row->identity.pid];
    std::transform(
        below.rbegin(), below.rend(), std::back_inserter(stack),
        [depth = depth + 1](const ProcessSeen *child) { return std::pair(child, depth); });
  }
  for (const auto &row : rows) {
    if (shown.insert(row.identity.pid).second) {
      order.emplace_back(&row, 0);
    }
  }
  return order;
}

std::string owners_of(const SocketSeen &socket) {
  std::string text;
  for (const auto &owner : socket.owners) {
    text += fmt::format("{}{}[{}] fd {}", text.empty() ? "" : ", ", owner.comm.printable(),
                        owner.process.pid, owner.fd);
  }
  return text.empty() ? std::string("(") + to_string(socket.owner_status) + ")" : text;
}

void print_process_table(const std::vector<ProcessSeen> &rows, bool tree) {
  Table table({"PID", "PPID", "UID", "S", "NETNS", "EXE", "COMMAND"});
  const auto add = [&](const ProcessSeen &row, std::size_t depth) {
    table.add(
        {std::to_string(row.identity.pid), row.ppid ? std::to_string(*row.ppid) : "?",
         row.credentials ? std::to_string(row.credentials->uid) : "?",
         std::string(1, std::isalpha(static_cast<unsigned char>(row.state)) != 0 ? row.state : '?'),
         row.namespaces.net ? std::to_string(*row.namespaces.net) : "?",
         row.kernel_thread
             ? "-"
             : printable(row.exe) + (row.exe_deleted.value_or(false) ? " (deleted)" : ""),
         std::string(depth * 2, ' ') + command_of(row)});
  };
  if (tree) {
    for (const auto &[row, depth] : tree_order(rows)) {
      add(*row, depth);
    }
  } else {
    for (const auto &row : rows) {
      add(row, 0);
    }
  }
  table.print();
}

} // namespace

Exit ps(const Common &common, const std::string &target, bool tree) {
  auto opened = open_target(target, common.patience, launch::SymbolFiles(common.symbols));
  if (!opened) {
    return report(opened.error());
  }
  const auto table = launch::list_processes(opened->sensor);
  if (!table) {
    return report(table.error());
  }
  if (common.format == Format::Json) {
    for (const auto &row : table->rows) {
      print_line(store::process_json(opened->name, row));
    }
  } else {
    print_process_table(table->rows, tree);
  }
  const auto torn = std::count_if(table->rows.begin(), table->rows.end(),
                                  [](const ProcessSeen &row) { return row.torn; });
  if (torn != 0) {
    complain(fmt::format("partial: {} processes changed while they were read", torn));
    return Exit::Partial;
  }
  return end_with(table->completeness);
}

Exit sockets(const Common &common, const std::string &target) {
  auto opened = open_target(target, common.patience, launch::SymbolFiles(common.symbols));
  if (!opened) {
    return report(opened.error());
  }
  const auto table = launch::list_sockets(opened->sensor);
  if (!table) {
    return report(table.error());
  }
  Table shown({"PROTO", "STATE", "LOCAL", "REMOTE", "NETNS", "OWNERS"});
  for (const auto &row : table->rows) {
    if (common.format == Format::Json) {
      print_line(store::socket_json(opened->name, row));
      continue;
    }
    const auto protocol = row.raw ? "raw" : protocol_name(row.protocol);
    shown.add({protocol + (row.family == IpFamily::V6 ? "6" : ""), to_string(row.state),
               row.local.to_string(), row.remote.to_string(),
               row.netns ? std::to_string(*row.netns) : "?", owners_of(row)});
  }
  if (common.format == Format::Table) {
    shown.print();
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
      std::string line;
      for (const auto &ancestor : attribution.ancestors) {
        line += fmt::format(" <- {}[{}]", ancestor.comm.printable(), ancestor.pid);
      }
      print_line("started by" + (line.empty() ? std::string(" (nobody)") : line));
    }
  }
  return attribution.processes.empty() ? Exit::NotFound : Exit::Ok;
}

} // namespace outguard::cli
