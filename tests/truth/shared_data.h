#pragma once
// Other people's captures, feeds and vectors, where they are at hand: never part of the product,
// read as they are. Tests without them are skipped, with this reason.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace outguard::truth {

inline constexpr const char *kNoData =
    "OUTGUARD_SHARED_DATA names no folder with observables.tsv, captures/ and vectors/";

/// Empty: not here.
inline std::filesystem::path shared_data() {
  const char *folder = std::getenv("OUTGUARD_SHARED_DATA");
  const std::filesystem::path path = folder != nullptr ? folder : "";
  return std::filesystem::exists(path / "observables.tsv") ? path : std::filesystem::path();
}

/// The cells of each line but the first.
inline std::vector<std::vector<std::string>> rows_of(const std::filesystem::path &table) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    auto &row = rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, '\t');) {
      row.push_back(cell);
    }
  }
  return rows;
}

} // namespace outguard::truth
