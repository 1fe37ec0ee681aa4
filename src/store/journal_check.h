#pragma once
// All files of a journal of actions, looked at together: each whole in itself, each going on where
// the one before it ended. Changes nothing, needs no supervisor and does not disturb one. Any
// thread.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace outguard::store {

struct CheckedFile {
  std::string name;
  std::uint64_t lines = 0, first_seq = 0, last_seq = 0;
  std::size_t torn_bytes = 0; ///< of a line at the end that nobody was told was kept
  std::string last_hash; ///< of its last line: noted elsewhere, it proves that none was cut off
};

/// The oldest first. NotFound: no journal there. InvalidInput: damaged; names file and line.
[[nodiscard]] Result<std::vector<CheckedFile>> check_journal_folder(const std::string &folder);

/// {"file":"actions.jsonl","lines":3,"first_seq":1,"last_seq":3,"torn_bytes":0,"last_hash":"..."}
[[nodiscard]] std::string checked_row(const CheckedFile &file);

} // namespace outguard::store
