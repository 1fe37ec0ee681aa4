#pragma once
// Asks the kernel about devices and routes of the network namespace that it was opened in (/sys
// would show the namespace that it was mounted in instead). Owns its socket; one thread at a time.

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"

namespace outguard::respond {

class RouteNetlink {
public:
  /// In the calling thread's namespace.
  [[nodiscard]] static Result<RouteNetlink> open();

  /// Index of the bridge that the device `index` is a port of, 0 for none: a bond, a VRF or an Open
  /// vSwitch is no bridge.
  [[nodiscard]] Result<int> bridge_of(int index) const;
  /// Whether host routing takes a packet to one other host: not to this host itself, nor to many.
  [[nodiscard]] Result<bool> leads_to_other_host(const IpAddress &address) const;

  /// Any ioctl about devices of the namespace.
  [[nodiscard]] int socket() const { return socket_.get(); }

private:
  explicit RouteNetlink(Fd socket) : socket_(std::move(socket)) {}

  Fd socket_;
};

} // namespace outguard::respond
