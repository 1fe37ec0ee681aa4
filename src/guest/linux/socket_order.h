#pragma once
// The order in which a table of sockets is told: by protocol, family and addresses.

#include <vector>

#include "guest/linux/socket_table.h"

namespace outguard::guest {

[[nodiscard]] std::vector<SocketRow> in_order(const std::vector<SocketRow> &rows);

} // namespace outguard::guest
