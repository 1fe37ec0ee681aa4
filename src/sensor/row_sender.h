#pragma once
// Sends a table in as many messages as it takes, each well below the limit of one: a row is at most
// a path and an argument list. The last one says how complete all of it is.

#include <cstddef>
#include <utility>
#include <vector>

#include "facts/messages.h"
#include "facts/wire.h"

namespace outguard::sensor {

template <class Rows, class Row, class Send>
void send_in_parts(std::vector<Row> rows, Completeness completeness, const Send &send) {
  constexpr std::size_t kRowsBytes = kMaxMessageBytes / 2;
  Rows message;
  std::size_t bytes = 0;
  for (auto &row : rows) {
    WireWriter writer;
    writer(row);
    if (!message.rows.empty() && bytes + writer.size() > kRowsBytes) {
      send(std::exchange(message, {}));
      bytes = 0;
    }
    bytes += writer.size();
    message.rows.push_back(std::move(row));
  }
  message.completeness = std::move(completeness);
  message.last = true;
  send(std::move(message));
}

} // namespace outguard::sensor
