// ps: the processes that a sensor read in one guest.

#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/problems.h"
#include "cli/process_table.h"
#include "cli/target.h"
#include "store/json_lines.h"

namespace outguard::cli {

namespace {

/// So that nobody misses them in a long table: how many are hidden, and from where.
void tell_hidden(const std::vector<ProcessSeen> &rows) {
  std::size_t hidden = 0;
  std::set<std::string> views;
  for (const ProcessSeen &row : rows) {
    if (!row.hidden.value_or(false)) {
      continue;
    }
    ++hidden;
    for (std::size_t index = 0; index < kProcessViews; ++index) {
      const auto view = static_cast<ProcessView>(index);
      if (row.views_asked.has(view) && !row.views_seen.has(view)) {
        views.insert(to_string(view));
      }
    }
  }
  if (hidden != 0) {
    complain(fmt::format("{} hidden: missing from {}", hidden, fmt::join(views, ", ")));
  }
}

} // namespace

Exit ps(const Common &common, const std::string &target, const AllProcesses &wanted) {
  auto opened = open_target(target, common.patience, launch::SymbolFiles(common.symbols));
  if (!opened) {
    return report(opened.error());
  }
  const auto table =
      launch::list_processes(opened->sensor, wanted.scan ? launch::ProcessSearch::Scan
                                                         : launch::ProcessSearch::CrossViews);
  if (!table) {
    return report(table.error());
  }
  if (common.format == Format::Json) {
    for (const auto &row : table->rows) {
      print_line(store::process_json(opened->name, row));
    }
  } else {
    print_process_table(table->rows, wanted.tree);
  }
  tell_hidden(table->rows);
  return end_with(table->completeness);
}

} // namespace outguard::cli
