#include "store/journal_check.h"

#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "store/action_journal.h"
#include "store/json_value.h"

namespace outguard::store {

namespace {

constexpr int kTries = 3; ///< a supervisor may begin a new file meanwhile

Result<std::vector<CheckedFile>> check_once(const std::string &folder) {
  std::vector<CheckedFile> checked;
  std::optional<JournalRead> before;
  const auto names = journal_files(folder);
  for (const auto &name : names) {
    const auto path = folder + "/" + name;
    std::error_code error;
    // Linked already and not renamed yet: a supervisor that ended in between goes on in the same.
    if (name != names.back() &&
        std::filesystem::equivalent(path, folder + "/" + names.back(), error)) {
      continue;
    }
    auto read = check_journal(path);
    if (!read) {
      return std::filesystem::exists(path, error) ? tl::unexpected(read.error())
                                                  : fail(ErrorCode::NotFound, read.error().message);
    }
    if (before && (read->first_previous != before->end.last_hash ||
                   read->first_seq != before->end.next_seq)) {
      return fail(ErrorCode::InvalidInput,
                  fmt::format("the journal {} does not go on where {} ends: a file was changed, or "
                              "one between them is missing",
                              path, checked.back().name));
    }
    checked.push_back({name, read->lines, read->first_seq, read->end.next_seq - 1, read->torn_bytes,
                       read->end.last_hash});
    before = std::move(*read);
  }
  return checked;
}

} // namespace

Result<std::vector<CheckedFile>> check_journal_folder(const std::string &folder) {
  auto checked = check_once(folder);
  for (int i = 1; i < kTries && !checked; ++i) {
    checked = check_once(folder);
  }
  return checked;
}

std::string checked_row(const CheckedFile &file) {
  return line({{"file", text(file.name)},
               {"lines", file.lines},
               {"first_seq", file.first_seq},
               {"last_seq", file.last_seq},
               {"torn_bytes", file.torn_bytes},
               {"last_hash", file.last_hash}});
}

} // namespace outguard::store
