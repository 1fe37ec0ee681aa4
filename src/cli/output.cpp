#include "cli/output.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "base/printable.h"

namespace outguard::cli {

namespace {

/// Code points, which is close enough to columns for names and addresses.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

} // namespace

void Table::print() const {
  std::vector<std::size_t> widths;
  const auto measure = [&](const std::vector<std::string> &cells) {
    widths.resize(std::max(widths.size(), cells.size()));
    for (std::size_t i = 0; i < cells.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(cells[i]));
    }
  };
  measure(headings_);
  for (const auto &row : rows_) {
    measure(row);
  }
  const auto emit = [&](const std::vector<std::string> &cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      line += cells[i];
      if (i + 1 < cells.size()) {
        line.append(widths[i] - width_of(cells[i]) + 2, ' ');
      }
    }
    print_line(line);
  };
  emit(headings_);
  for (const auto &row : rows_) {
    emit(row);
  }
}

void print_line(std::string_view line) {
  fmt::print("{}\n", line);
}

void complain(std::string_view message) {
  fmt::print(stderr, "outguard: {}\n",
             is_printable(message) ? std::string(message) : to_printable(message));
}

} // namespace outguard::cli
