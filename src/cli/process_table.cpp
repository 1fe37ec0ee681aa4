#include "cli/process_table.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string_view>

#include "cli/output.h"

namespace outguard::cli {

namespace {

std::string printable(const std::optional<GuestText> &text) {
  return text ? text->printable() : "?";
}

/// Width for people: a path's end tells more than its start, a command's start more than its end.
constexpr std::size_t kMostPath = 40, kMostCommand = 100, kMostPlace = 24;
constexpr std::size_t kShortId = 12; ///< of a container, as Docker's own tools cut it
constexpr std::string_view kMore = "...";

bool is_character_start(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

std::string keep_start(std::string text, std::size_t most) {
  if (text.size() <= most) {
    return text;
  }
  std::size_t end = most - kMore.size();
  while (end > 0 && !is_character_start(text[end])) {
    --end;
  }
  return text.substr(0, end).append(kMore);
}

std::string keep_end(const std::string &text, std::size_t most) {
  if (text.size() <= most) {
    return text;
  }
  std::size_t start = text.size() - (most - kMore.size());
  while (start < text.size() && !is_character_start(text[start])) {
    ++start;
  }
  return std::string(kMore) + text.substr(start);
}

/// The container's id, else the systemd unit.
std::string place_of(const ProcessSeen &process) {
  if (!process.container || !process.unit) {
    return "?";
  }
  if (!process.container->empty()) {
    const std::string id = process.container->printable();
    return id.size() == 64 ? id.substr(0, kShortId) : keep_start(id, kMostPlace);
  }
  return process.unit->empty() ? "-" : keep_start(process.unit->printable(), kMostPlace);
}

std::string program_of(const ProcessSeen &process) {
  if (process.kernel_thread) {
    return "-";
  }
  return keep_end(printable(process.exe) +
                      (process.exe_deleted.value_or(false) ? " (deleted)" : ""),
                  kMostPath);
}

std::string command_of(const ProcessSeen &process) {
  return process.kernel_thread ? "[" + process.comm.printable() + "]" : command_line(process);
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

} // namespace

std::string command_line(const ProcessSeen &process) {
  if (!process.cmdline) {
    return "?";
  }
  std::string line;
  for (const auto &argument : *process.cmdline) {
    line += (line.empty() ? "" : " ") + argument.printable();
  }
  return line;
}

char state_letter(char state) {
  return std::isalpha(static_cast<unsigned char>(state)) != 0 ? state : '?';
}

std::string starters_of(const ProcessSeen &process, std::span<const Ancestor> ancestors, bool cut) {
  if (ancestors.empty()) {
    return process.ppid == 0 ? "(nobody)" : "?";
  }
  std::string line;
  for (const auto &ancestor : ancestors) {
    line += (line.empty() ? "" : " <- ") + ancestor.comm.printable() + "[" +
            std::to_string(ancestor.pid) + "]";
  }
  return line + (cut ? " <- ?" : "");
}

void print_process_table(const std::vector<ProcessSeen> &rows, bool tree) {
  Table table({"PID", "PPID", "UID", "S", "CONTAINER/UNIT", "EXE", "COMMAND"});
  const auto add = [&](const ProcessSeen &row, std::size_t depth) {
    table.add({std::to_string(row.identity.pid), row.ppid ? std::to_string(*row.ppid) : "?",
               row.credentials ? std::to_string(row.credentials->uid) : "?",
               std::string(1, state_letter(row.state)), place_of(row), program_of(row),
               keep_start(std::string(depth * 2, ' ') +
                              (row.hidden.value_or(false) ? "HIDDEN " : "") + command_of(row),
                          kMostCommand)});
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

} // namespace outguard::cli
