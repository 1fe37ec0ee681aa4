#include "base/message_socket.h"

#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>

namespace outguard {

namespace {

/// True: ready. False: the time is over.
Result<bool> wait_for(int fd, short events, std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd item{fd, events, 0};
    const int ready = ::poll(&item, 1, static_cast<int>(std::max<long>(left.count(), 0)));
    if (ready > 0) {
      return true;
    }
    if (ready == 0) {
      return false;
    }
    if (errno != EINTR) {
      return fail_errno("poll");
    }
  }
}

std::vector<Fd> take_fds(msghdr &header) {
  std::vector<Fd> fds;
  for (cmsghdr *item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int raw = -1;
      std::memcpy(&raw, CMSG_DATA(item) + i * sizeof raw, sizeof raw);
      fds.emplace_back(raw);
    }
  }
  return fds;
}

} // namespace

Result<std::pair<MessageSocket, MessageSocket>> MessageSocket::pair() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail_errno("socketpair");
  }
  return std::pair{MessageSocket(Fd(ends[0])), MessageSocket(Fd(ends[1]))};
}

Result<void> MessageSocket::send(std::span<const std::uint8_t> bytes, std::span<const int> fds,
                                 std::chrono::milliseconds wait) {
  if (bytes.size() > largest_ || fds.size() > most_fds_ || bytes.empty()) {
    return fail(ErrorCode::LimitReached, "message of " + std::to_string(bytes.size()) +
                                             " bytes with " + std::to_string(fds.size()) +
                                             " descriptors is over the limit");
  }
  iovec part{const_cast<std::uint8_t *>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  std::vector<std::uint8_t> control(fds.empty() ? 0 : CMSG_SPACE(fds.size_bytes()));
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr *item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(item), fds.data(), fds.size_bytes());
  }
  while (true) {
    if (::sendmsg(fd_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
      return {};
    }
    if (errno == EPIPE || errno == ECONNRESET) {
      return fail(ErrorCode::Unreachable, "the peer has closed the socket");
    }
    if (errno != EAGAIN && errno != EINTR) {
      return fail_errno("sendmsg");
    }
    const auto ready = wait_for(fd_.get(), POLLOUT, wait);
    if (!ready) {
      return tl::unexpected(ready.error());
    }
    if (!*ready) {
      return fail(ErrorCode::Timeout, "the peer does not read its messages");
    }
  }
}

Result<std::optional<MessageSocket::Message>>
MessageSocket::receive(std::chrono::milliseconds wait) {
  const auto ready = wait_for(fd_.get(), POLLIN, wait);
  if (!ready) {
    return tl::unexpected(ready.error());
  }
  if (!*ready) {
    return std::nullopt;
  }
  if (room_ == nullptr) {
    room_ = std::make_unique_for_overwrite<std::uint8_t[]>(largest_);
  }
  std::vector<std::uint8_t> control(CMSG_SPACE(most_fds_ * sizeof(int)));
  iovec part{room_.get(), largest_};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t count = ::recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) {
      return std::nullopt;
    }
    if (errno == ECONNRESET) {
      return fail(ErrorCode::Unreachable, "the peer has closed the socket");
    }
    return fail_errno("recvmsg");
  }
  Message message;
  message.fds = take_fds(header);
  if (count == 0) {
    return fail(ErrorCode::Unreachable, "the peer has closed the socket");
  }
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return fail(ErrorCode::InvalidInput, "the peer sent a message over the size limit");
  }
  message.bytes.assign(room_.get(), room_.get() + count);
  return message;
}

} // namespace outguard
