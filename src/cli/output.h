#pragma once
// How every command prints: a table for people, or one JSON object a line for programs. Cells must
// be safe already (GuestText::printable()). stdout only; one thread.

#include <string>
#include <string_view>
#include <vector>

namespace outguard::cli {

enum class Format { Table, Json };

/// The contract's exit codes.
enum class Exit : int {
  Ok = 0,
  Failed = 1,
  Usage = 2,
  DaemonUnreachable = 3,
  BadConfig = 4,
  Refused = 5,
  NotFound = 6,
  WaitingForApproval = 7,
  Partial = 8,
};

class Table {
public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  /// Columns as wide as their widest cell; the last one ends ragged.
  void print() const;

private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

void print_line(std::string_view line);
/// "outguard: <message>" on stderr.
void complain(std::string_view message);

} // namespace outguard::cli
