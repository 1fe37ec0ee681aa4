#include "hypervisor/unix_socket.h"

#include <algorithm>
#include <cerrno>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "facts/guest_text.h"

namespace outguard::hypervisor {

namespace {

/// It comes from QEMU's command line.
std::string shown(const std::string &path) {
  return GuestText(path).printable();
}

/// A path that does not fit sun_path (108 bytes) goes through a descriptor of its folder.
Result<std::string> short_path(const std::string &path, Fd &folder) {
  if (path.size() < sizeof(sockaddr_un::sun_path)) {
    return path;
  }
  const auto slash = path.rfind('/');
  if (slash != std::string::npos) {
    folder = Fd(::open(path.substr(0, slash + 1).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder) {
      return fail_errno("open the folder of " + shown(path));
    }
    auto through = "/proc/self/fd/" + std::to_string(folder.get()) + path.substr(slash);
    if (through.size() < sizeof(sockaddr_un::sun_path)) {
      return through;
    }
  }
  return fail(ErrorCode::InvalidInput, "socket name too long: " + shown(path));
}

} // namespace

Result<UnixPeer> connect_unix(const std::string &path, std::chrono::milliseconds wait) {
  Fd folder;
  const auto name = short_path(path, folder);
  if (!name) {
    return tl::unexpected(name.error());
  }
  UnixPeer peer;
  peer.socket = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!peer.socket) {
    return fail_errno("socket");
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(name->begin(), name->end(), address.sun_path);
  // EAGAIN: the listener's queue is full, and poll() cannot wait for that.
  const auto deadline = monotonic_now() + wait;
  while (::connect(peer.socket.get(), reinterpret_cast<const sockaddr *>(&address),
                   sizeof address) != 0) {
    if (errno == ENOENT) {
      return fail(ErrorCode::NotFound, "no socket at " + shown(path));
    }
    if (errno == EAGAIN && monotonic_now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    } else if (errno == EAGAIN) {
      return fail(ErrorCode::Timeout, "too many clients wait at " + shown(path));
    } else if (errno == ECONNREFUSED) {
      return fail(ErrorCode::Unreachable, "nobody answers at " + shown(path));
    } else if (errno != EINTR) {
      return fail_errno("connect to " + shown(path));
    }
  }
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(peer.socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return fail_errno("credentials of " + shown(path));
  }
  peer.pid = credentials.pid;
  return peer;
}

} // namespace outguard::hypervisor
