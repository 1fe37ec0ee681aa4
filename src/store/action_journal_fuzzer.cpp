// Any bytes as a journal: it is read or refused, and what was read can be written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "store/journal_lines.h"
#include "store/journal_test_records.h"

using namespace outguard::store;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char *>(data), size);
  const auto read = read_journal(bytes);
  if (!read) {
    return 0;
  }
  if (read->good_bytes > size) {
    std::abort();
  }
  JournalPosition position;
  auto text = checkpoint_line(position, read->records.size());
  for (const auto &record : read->records) {
    const auto line = journal_line(position, record, "fuzzer");
    if (!line) {
      std::abort();
    }
    text += *line;
  }
  const auto again = read_journal(text);
  if (!again || again->records.size() != read->records.size() || again->end != position) {
    std::abort();
  }
  for (std::size_t i = 0; i < again->records.size(); ++i) {
    if (!same(again->records[i], read->records[i])) {
      std::abort();
    }
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds;
  for (unsigned count = 0; count < 6; ++count) {
    JournalPosition position;
    auto text = checkpoint_line(position, 0);
    for (unsigned i = 0; i < count; ++i) {
      text += journal_line(position, made_record(i), "uid 0 (root)").value_or("");
    }
    seeds.emplace_back(text.begin(), text.end());
    seeds.emplace_back(text.begin(), text.end() - 9);
  }
  return seeds;
}
