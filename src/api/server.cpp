#include "api/server.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/local_socket.h"
#include "api/status_json.h"

namespace outguard::api {

namespace {

constexpr std::chrono::milliseconds kPause{200}; ///< after accept() failed for want of resources
constexpr int kQueue = 16;

Result<void> make_private_folder(const std::string &folder) {
  struct stat about {};
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(folder);
  }
  if (::lstat(folder.c_str(), &about) != 0) {
    return fail_errno(folder);
  }
  if (!S_ISDIR(about.st_mode) || about.st_uid != ::geteuid() || (about.st_mode & 022) != 0) {
    return fail(ErrorCode::Refused, folder + ": must be a folder of this user that nobody else "
                                             "may write to");
  }
  return {};
}

void remove_abandoned(const std::string &folder) {
  for (const auto &path : sockets_in(folder)) {
    if (const auto peer = connect_local(path);
        !peer && peer.error().code == ErrorCode::Unreachable) {
      ::unlink(path.c_str());
    }
  }
}

} // namespace

Result<std::unique_ptr<Server>>
Server::start(const std::string &folder, std::map<std::string, Verb> verbs, ServerLimits limits) {
  if (const auto made = make_private_folder(folder); !made) {
    return tl::unexpected(made.error());
  }
  remove_abandoned(folder);
  auto path = fmt::format("{}/{}.sock", folder, ::getpid());
  const auto temporary = path + ".new"; // nobody finds it before it listens
  const auto address = address_of(temporary);
  if (!address) {
    return tl::unexpected(address.error());
  }
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlink(temporary.c_str());
  if (!listener ||
      ::bind(listener.get(), reinterpret_cast<const sockaddr *>(&*address), sizeof *address) != 0 ||
      ::chmod(temporary.c_str(), 0600) != 0 || ::listen(listener.get(), kQueue) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    auto failed = fail_errno(path);
    ::unlink(temporary.c_str());
    return failed;
  }
  return std::unique_ptr<Server>(
      new Server(std::move(path), std::move(listener), std::move(verbs), limits));
}

Server::Server(std::string path, Fd listener, std::map<std::string, Verb> verbs,
               ServerLimits limits)
    : path_(std::move(path)), listener_(std::move(listener)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), verbs_(std::move(verbs)), limits_(limits),
      thread_([this] { run(); }) {}

Server::~Server() {
  ::unlink(path_.c_str());
  const std::uint64_t one = 1;
  static_cast<void>(::write(stop_.get(), &one, sizeof one) < 0);
  thread_.join();
}

void Server::run() {
  while (true) {
    const auto now = monotonic_now();
    const bool accepts = clients_.size() < limits_.clients && now >= accepts_from_;
    std::vector<pollfd> waits{{stop_.get(), POLLIN, 0},
                              {accepts ? listener_.get() : -1, POLLIN, 0}};
    auto wake = now + std::chrono::minutes(1);
    if (now < accepts_from_) {
      wake = accepts_from_;
    }
    for (const auto &client : clients_) {
      waits.push_back(
          {client.socket.get(), static_cast<short>(client.answer.empty() ? POLLIN : POLLOUT), 0});
      wake = std::min(wake, client.deadline);
    }
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(wake - now).count();
    static_cast<void>(::poll(waits.data(), waits.size(), static_cast<int>(std::max(wait, 0L))));
    if (waits[0].revents != 0) {
      return;
    }
    const auto later = monotonic_now();
    for (std::size_t i = clients_.size(); i-- > 0;) {
      const bool ready = waits[i + 2].revents != 0;
      if (ready ? !serve(clients_[i]) : later >= clients_[i].deadline) {
        clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (waits[1].revents != 0) {
      take_client();
    }
  }
}

void Server::take_client() {
  Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    const bool passing = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    accepts_from_ = monotonic_now() + (passing ? std::chrono::milliseconds(0) : kPause);
    return;
  }
  if (is_of_root_or_us(socket)) { // else it is closed before a byte of it is read
    clients_.push_back({std::move(socket), {}, {}, 0, monotonic_now() + limits_.request});
  }
}

bool Server::serve(Client &client) const {
  if (client.answer.empty() && !read_request(client)) {
    return false;
  }
  if (client.answer.empty()) {
    return monotonic_now() < client.deadline; // a byte now and then does not hold a place
  }
  const auto sent = ::send(client.socket.get(), client.answer.data() + client.sent,
                           client.answer.size() - client.sent, MSG_NOSIGNAL);
  if (sent < 0) {
    return (errno == EAGAIN || errno == EINTR) && monotonic_now() < client.deadline;
  }
  client.sent += static_cast<std::size_t>(sent);
  return client.sent < client.answer.size() && monotonic_now() < client.deadline;
}

bool Server::read_request(Client &client) const {
  std::string piece(limits_.request_bytes + 1 - client.request.size(), '\0');
  const auto got = ::recv(client.socket.get(), piece.data(), piece.size(), 0);
  if (got <= 0) {
    return got < 0 && (errno == EAGAIN || errno == EINTR);
  }
  client.request.append(piece, 0, static_cast<std::size_t>(got));
  const auto end = client.request.find('\n');
  if (end != std::string::npos) {
    client.answer = answer_to(std::string_view(client.request).substr(0, end)) + '\n';
  } else if (client.request.size() > limits_.request_bytes) {
    client.answer =
        refusal_line(fmt::format("a request has at most {} bytes", limits_.request_bytes)) + '\n';
  }
  if (!client.answer.empty()) {
    client.deadline = monotonic_now() + limits_.answer;
  }
  return true;
}

std::string Server::answer_to(std::string_view line) const {
  const auto request = parse_request(line);
  if (!request) {
    return refusal_line(request.error().message);
  }
  const auto verb = verbs_.find(request->verb);
  return verb == verbs_.end() ? refusal_line("no such verb: " + request->verb) : verb->second();
}

} // namespace outguard::api
