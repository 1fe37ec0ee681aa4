#include "daemon/connection_reset.h"

#include <algorithm>
#include <thread>

#include "base/clock.h"
#include "daemon/sensor_link.h"

namespace outguard::daemon {

namespace {

constexpr std::chrono::milliseconds kProofTime{1000}, kProofPause{50};

bool speaks(const SocketSeen &socket, const FlowTuple &tuple) {
  const auto same = [](const Endpoint &one, const Endpoint &other) {
    return one.port == other.port && one.address.unmapped() == other.address.unmapped();
  };
  return socket.protocol == tuple.protocol && socket.state != SocketState::Close &&
         socket.state != SocketState::TimeWait && same(socket.local, tuple.local) &&
         same(socket.remote, tuple.remote);
}

} // namespace

Result<bool> is_connected(launch::SensorProcess &sensor, const FlowTuple &tuple) {
  const auto table = launch::list_sockets(sensor);
  if (!table) {
    return tl::unexpected(table.error());
  }
  const bool found = std::any_of(table->rows.begin(), table->rows.end(),
                                 [&](const SocketSeen &socket) { return speaks(socket, tuple); });
  if (!found && table->completeness.partial) {
    return fail(ErrorCode::Unreachable,
                "the guest's sockets are known in part: " + table->completeness.reason);
  }
  return found;
}

Result<void> reset_connection(const std::shared_ptr<launch::SensorProcess> &sensor, TapHands &taps,
                              const FlowTuple &tuple, bool dry) {
  const auto flow = launch::find_flow(*sensor, tuple);
  if (!flow) {
    return tl::unexpected(flow.error());
  }
  SensorLink link(sensor);
  if (const auto sent = taps.reset(*flow, link, dry); !sent || dry) {
    return sent;
  }
  const auto deadline = monotonic_now() + kProofTime;
  while (true) {
    const auto stands = is_connected(*sensor, tuple);
    if (!stands) {
      return tl::unexpected(stands.error());
    }
    if (!*stands) {
      return {};
    }
    if (monotonic_now() >= deadline) {
      return fail(ErrorCode::Timeout,
                  "resets were sent to both ends, and the guest's socket is still there");
    }
    std::this_thread::sleep_for(kProofPause);
  }
}

} // namespace outguard::daemon
