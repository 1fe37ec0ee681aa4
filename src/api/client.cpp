#include "api/client.h"

#include <cerrno>
#include <thread>

#include <poll.h>
#include <sys/socket.h>

#include "api/local_socket.h"
#include "api/requests.h"
#include "api/status_json.h"
#include "base/clock.h"

namespace outguard::api {

namespace {

constexpr std::chrono::milliseconds kBetweenTries{20};
constexpr std::size_t kMostAnswer = std::size_t{16} << 20;

bool wait_for(const Fd &socket, short events, MonotonicTime deadline) {
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - monotonic_now()).count();
    pollfd waits{socket.get(), events, 0};
    const int ready = left <= 0 ? 0 : ::poll(&waits, 1, static_cast<int>(left));
    if (ready >= 0 || errno != EINTR) {
      return ready > 0;
    }
  }
}

} // namespace

Result<std::string> ask(const std::string &path, const std::string &request,
                        std::chrono::milliseconds wait) {
  const auto deadline = monotonic_now() + wait;
  auto socket = connect_local(path);
  while (!socket && socket.error().code == ErrorCode::Timeout && monotonic_now() < deadline) {
    std::this_thread::sleep_for(kBetweenTries); // poll() cannot wait for a place in the queue
    socket = connect_local(path);
  }
  if (!socket) {
    return tl::unexpected(socket.error());
  }
  if (const auto peer = peer_of(*socket); !peer || !is_root_or_us(*peer)) {
    return fail(ErrorCode::Permission, path + ": listened at by another user");
  }
  const auto line = request + '\n'; // fits into any socket's buffer
  if (::send(socket->get(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    return fail_errno(path);
  }
  std::string answer;
  std::vector<char> piece(std::size_t{1} << 16);
  while (wait_for(*socket, POLLIN, deadline)) {
    const auto got = ::recv(socket->get(), piece.data(), piece.size(), 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
      continue;
    }
    if (got <= 0) {
      return fail(ErrorCode::Unreachable, path + ": it ended before it had answered");
    }
    answer.append(piece.data(), static_cast<std::size_t>(got));
    if (const auto end = answer.find('\n'); end != answer.npos) {
      answer.resize(end);
      return answer;
    }
    if (answer.size() > kMostAnswer) {
      return fail(ErrorCode::LimitReached, path + ": its answer is longer than 16 MiB");
    }
  }
  return fail(ErrorCode::Timeout, path + ": no answer in time");
}

Supervisors find_supervisors(const std::string &folder) {
  Supervisors found;
  for (const auto &path : sockets_in(folder)) {
    const auto answer = ask(path, request_line(StatusAsked()));
    auto status = answer.and_then([](const std::string &line) { return parse_status(line); });
    if (status) {
      found.running.push_back(std::move(*status));
    } else if (const auto code = status.error().code;
               code != ErrorCode::Unreachable && code != ErrorCode::NotFound) { // it has ended
      found.problems.push_back(status.error().message);
    }
  }
  return found;
}

} // namespace outguard::api
