// `outguard action verify`: is the journal of actions whole.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/problems.h"
#include "facts/guest_text.h"
#include "store/journal_check.h"

namespace outguard::cli {

Exit action_verify(const Common &common, const std::string &folder) {
  const auto checked = store::check_journal_folder(folder);
  if (!checked) {
    return report(checked.error());
  }
  Table table({"FILE", "LINES", "FIRST", "LAST", "HASH OF THE LAST LINE"});
  for (const auto &file : *checked) {
    if (common.format == Format::Json) {
      print_line(store::checked_row(file));
    } else {
      table.add({GuestText(file.name).printable(), fmt::to_string(file.lines),
                 fmt::to_string(file.first_seq), fmt::to_string(file.last_seq), file.last_hash});
    }
    if (file.torn_bytes > 0) {
      complain(fmt::format("{}: {} bytes at its end are a line that was never finished, which "
                           "nobody was told was kept",
                           GuestText(file.name).printable(), file.torn_bytes));
    }
  }
  if (common.format == Format::Table) {
    table.print();
  }
  return Exit::Ok;
}

} // namespace outguard::cli
