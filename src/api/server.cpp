#include "api/server.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/answers.h"
#include "api/local_socket.h"

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

void ring(const Fd &bell) {
  const std::uint64_t one = 1;
  static_cast<void>(::write(bell.get(), &one, sizeof one) < 0);
}

} // namespace

/// Destroying it waits for its thread.
class Server::Work {
public:
  Work(const Answerer &answerer, Request request, Peer peer, const Fd &bell)
      : thread_([this, &answerer, request = std::move(request), peer,
                 &bell](const std::stop_token &gone) {
          answer_ = answerer(request, peer, gone);
          done_ = true;
          ring(bell);
        }) {}

  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] std::string take_answer() { return std::move(answer_); } ///< once done()
  void give_up() { thread_.request_stop(); }

private:
  std::string answer_; ///< the thread's, until done_
  std::atomic<bool> done_ = false;
  std::jthread thread_; ///< last: it uses all above
};

struct Server::Client {
  Fd socket;
  Peer peer;
  MonotonicTime deadline; ///< not while it is worked for
  std::string request = {}, answer = {};
  std::size_t sent = 0;
  std::unique_ptr<Work> work = {}; ///< null: none, or done
};

Result<std::unique_ptr<Server>> Server::start(const std::string &folder, Answerer answerer,
                                              ServerLimits limits) {
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
      new Server(std::move(path), std::move(listener), std::move(answerer), limits));
}

Server::Server(std::string path, Fd listener, Answerer answerer, ServerLimits limits)
    : path_(std::move(path)), listener_(std::move(listener)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), answerer_(std::move(answerer)),
      limits_(limits), thread_([this] { run(); }) {}

Server::~Server() {
  ::unlink(path_.c_str());
  ending_ = true;
  ring(wake_);
  thread_.join();
}

void Server::run() {
  while (!ending_) {
    const auto now = monotonic_now();
    const bool accepts = clients_.size() < limits_.clients && now >= accepts_from_;
    std::vector<pollfd> waits{{wake_.get(), POLLIN, 0},
                              {accepts ? listener_.get() : -1, POLLIN, 0}};
    auto wake = now + std::chrono::minutes(1);
    if (now < accepts_from_) {
      wake = std::min(wake, accepts_from_);
    }
    for (const auto &client : clients_) {
      const int events = client.work ? 0 : client.answer.empty() ? POLLIN : POLLOUT;
      waits.push_back({client.socket.get(), static_cast<short>(events), 0}); // POLLHUP always
      wake = client.work ? wake : std::min(wake, client.deadline);
    }
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(wake - now).count();
    static_cast<void>(::poll(waits.data(), waits.size(), static_cast<int>(std::max(wait, 0L))));
    const auto later = monotonic_now();
    for (std::size_t i = clients_.size(); i-- > 0;) {
      const auto told = waits[i + 2].revents;
      const bool late = !clients_[i].work && later >= clients_[i].deadline;
      if (told != 0 ? !serve(clients_[i], (told & (POLLHUP | POLLERR)) != 0) : late) {
        remove(i);
      }
    }
    if (waits[1].revents != 0) {
      take_client();
    }
    if (waits[0].revents != 0) {
      collect();
    }
  }
  for (const auto &client : clients_) { // all are told before one is waited for
    if (client.work) {
      client.work->give_up();
    }
  }
  clients_.clear();
  abandoned_.clear();
}

void Server::remove(std::size_t client) {
  const auto at = clients_.begin() + static_cast<std::ptrdiff_t>(client);
  if (at->work) {
    at->work->give_up();
    abandoned_.push_back(std::move(at->work));
  }
  clients_.erase(at);
}

void Server::collect() {
  std::uint64_t rung = 0;
  static_cast<void>(::read(wake_.get(), &rung, sizeof rung) < 0);
  std::erase_if(abandoned_, [](const auto &work) { return work->done(); });
  for (auto &client : clients_) {
    if (client.work && client.work->done()) {
      client.answer = client.work->take_answer() + '\n';
      client.deadline = monotonic_now() + limits_.answer;
      client.work.reset();
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
  const auto peer = peer_of(socket);
  if (peer && is_root_or_us(*peer)) { // else it is closed before a byte of it is read
    clients_.push_back(
        {std::move(socket), {peer->uid, peer->pid}, monotonic_now() + limits_.request});
  }
}

bool Server::serve(Client &client, bool hung_up) {
  if (client.work) {
    return !hung_up;
  }
  if (client.answer.empty() && !read_request(client)) {
    return false;
  }
  if (client.answer.empty()) { // a byte now and then does not hold a place
    return client.work || monotonic_now() < client.deadline;
  }
  const auto sent = ::send(client.socket.get(), client.answer.data() + client.sent,
                           client.answer.size() - client.sent, MSG_NOSIGNAL);
  if (sent < 0) {
    return (errno == EAGAIN || errno == EINTR) && monotonic_now() < client.deadline;
  }
  client.sent += static_cast<std::size_t>(sent);
  return client.sent < client.answer.size() && monotonic_now() < client.deadline;
}

bool Server::read_request(Client &client) {
  std::string piece(limits_.request_bytes + 1 - client.request.size(), '\0');
  const auto got = ::recv(client.socket.get(), piece.data(), piece.size(), 0);
  if (got <= 0) {
    return got < 0 && (errno == EAGAIN || errno == EINTR);
  }
  client.request.append(piece, 0, static_cast<std::size_t>(got));
  const auto end = client.request.find('\n');
  if (end != std::string::npos) {
    begin_answer(client, std::string_view(client.request).substr(0, end));
  } else if (client.request.size() > limits_.request_bytes) {
    client.answer =
        refusal_line({ErrorCode::InvalidInput,
                      fmt::format("a request has at most {} bytes", limits_.request_bytes)});
  }
  if (!client.answer.empty()) {
    client.answer += '\n';
    client.deadline = monotonic_now() + limits_.answer;
  }
  return true;
}

void Server::begin_answer(Client &client, std::string_view line) {
  auto request = parse_request(line);
  if (!request) {
    client.answer = refusal_line(request.error());
    return;
  }
  if (std::holds_alternative<StatusAsked>(*request)) {
    client.answer = answerer_(*request, client.peer, {});
    return;
  }
  const auto working =
      std::count_if(clients_.begin(), clients_.end(), [](const auto &one) { return !!one.work; });
  if (static_cast<std::size_t>(working) + abandoned_.size() >= limits_.workers) {
    client.answer = refusal_line(
        {ErrorCode::LimitReached, "too many requests are worked on at the moment: try again"});
    return;
  }
  try {
    client.work = std::make_unique<Work>(answerer_, std::move(*request), client.peer, wake_);
  } catch (const std::system_error &) {
    client.answer = refusal_line({ErrorCode::LimitReached, "this host gives no more threads"});
  }
}

} // namespace outguard::api
