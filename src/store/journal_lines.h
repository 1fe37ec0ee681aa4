#pragma once
// The journal of actions as text: JSON lines, each with the SHA-256 of the line before, so that no
// line but the last can be changed, left out or put in unnoticed. Every line has the whole record
// as it is after the step; the last line of an id counts; "open": is_open(). Pure functions, any
// thread.
//
// {"prev":"64
// digits","id":"a-...","step":"acting","open":true,"seq":7,"time":"...","actor":"...","record":{}}
// A file begins with
// {"prev":...,"id":"checkpoint","step":"checkpoint","open":false,"seq":...,"time":...,
// "version":1,"records":N}; then come N records that were carried over from the file before.
// Of what people protect: "id":"p-...","step":"added" or "removed", and it for a record.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "facts/action.h"
#include "facts/protection.h"

namespace outguard::store {

inline constexpr std::size_t kMostJournalLine = 65'536;
/// Of records that are not open, the newest; those that are, are always read.
inline constexpr std::size_t kMostEndedRead = 10'000;

/// Where a chain is.
struct JournalPosition {
  std::string last_hash = std::string(64, '0');
  std::uint64_t next_seq = 1;

  friend bool operator==(const JournalPosition &, const JournalPosition &) = default;
};

/// With its line end; moves the position on. InvalidInput, and nothing moved: a reader would not
/// take it.
[[nodiscard]] Result<std::string>
journal_line(JournalPosition &position, const ActionRecord &record, const std::string &actor);
[[nodiscard]] Result<std::string> journal_line(JournalPosition &position, const Protection &entry,
                                               const std::string &actor);
/// The first line of a file.
[[nodiscard]] std::string checkpoint_line(JournalPosition &position, std::size_t records);

struct JournalRead {
  std::vector<ActionRecord> records; ///< as their last lines say, in the order of their first
  std::uint64_t lines = 0;
  std::uint64_t first_seq = 0;
  std::string first_previous; ///< hash of the line before the first: the last of the file before
  JournalPosition end;
  std::size_t good_bytes = 0; ///< what follows is the piece of a line that was never finished
  std::vector<Protection> allowed = {}; ///< that were not removed
  std::size_t torn_bytes = 0;           ///< those that follow
};

/// A piece of a line at the end, or lines there with blocks that were never written, are torn:
/// nobody was told that they were kept. Any other damage is an InvalidInput that names the line.
[[nodiscard]] Result<JournalRead> read_journal(std::string_view bytes);

} // namespace outguard::store
