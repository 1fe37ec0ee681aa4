#include "guest/linux/socket_order.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <endian.h>

namespace outguard::guest {
namespace {

/// Compared as numbers, since a table has tens of thousands of rows.
struct RowKey {
  std::array<std::uint64_t, 8> words{};
  std::uint32_t index = 0;

  RowKey(const Sock &sock, std::uint32_t index_of_row) : index(index_of_row) {
    const auto word = [](const IpAddress &address, std::size_t half) {
      std::uint64_t value = 0;
      std::memcpy(&value, address.bytes.data() + half * sizeof value, sizeof value);
      return be64toh(value);
    };
    const auto family = [](IpFamily of) { return static_cast<std::uint64_t>(of); };
    words = {std::uint64_t{sock.protocol} << 24 | std::uint64_t{sock.raw} << 16 |
                 family(sock.family) << 8 | family(sock.local.address.family),
             word(sock.local.address, 0),
             word(sock.local.address, 1),
             std::uint64_t{sock.local.port} << 8 | family(sock.remote.address.family),
             word(sock.remote.address, 0),
             word(sock.remote.address, 1),
             sock.remote.port,
             sock.net.raw()};
  }
};

} // namespace

std::vector<SocketRow> in_order(const std::vector<SocketRow> &rows) {
  std::vector<RowKey> keys;
  keys.reserve(rows.size());
  for (const SocketRow &row : rows) {
    keys.emplace_back(row.sock, static_cast<std::uint32_t>(keys.size()));
  }
  std::ranges::sort(keys, [&rows](const RowKey &a, const RowKey &b) {
    for (std::size_t at = 0; at < a.words.size(); ++at) {
      if (a.words[at] != b.words[at]) {
        return a.words[at] < b.words[at];
      }
    }
    return rows[a.index].sock.address < rows[b.index].sock.address;
  });
  std::vector<SocketRow> result;
  result.reserve(rows.size());
  for (const RowKey &key : keys) {
    result.push_back(rows[key.index]);
  }
  return result;
}

} // namespace outguard::guest
