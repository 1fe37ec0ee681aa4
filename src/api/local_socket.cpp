#include "api/local_socket.h"

#include <algorithm>
#include <cerrno>

#include <dirent.h>
#include <unistd.h>

namespace outguard::api {

namespace {

constexpr std::size_t kMostSockets = 64;

} // namespace

Result<sockaddr_un> address_of(const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::InvalidInput, path + ": longer than a socket's name can be");
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

std::optional<ucred> peer_of(const Fd &socket) {
  ucred peer{};
  socklen_t length = sizeof peer;
  const int got = ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length);
  return got == 0 ? std::optional(peer) : std::nullopt;
}

bool is_root_or_us(const ucred &peer) {
  return peer.uid == 0 || peer.uid == ::geteuid();
}

Result<Fd> connect_local(const std::string &path) {
  const auto address = address_of(path);
  if (!address) {
    return tl::unexpected(address.error());
  }
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    return fail_errno("socket");
  }
  if (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&*address), sizeof *address) ==
      0) {
    return socket;
  }
  switch (errno) {
  case ENOENT:
    return fail(ErrorCode::NotFound, path + ": no such socket");
  case ECONNREFUSED:
    return fail(ErrorCode::Unreachable, path + ": nobody listens");
  case EAGAIN:
    return fail(ErrorCode::Timeout, path + ": too many others ask at the same time");
  default:
    return fail_errno(path);
  }
}

std::vector<std::string> sockets_in(const std::string &folder) {
  std::vector<std::string> paths;
  DIR *open = ::opendir(folder.c_str());
  while (const dirent *entry = open == nullptr ? nullptr : ::readdir(open)) {
    const std::string name = entry->d_name;
    if (name.ends_with(".sock") && paths.size() < kMostSockets) {
      paths.push_back(folder);
      paths.back().append("/").append(name);
    }
  }
  if (open != nullptr) {
    ::closedir(open);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

} // namespace outguard::api
