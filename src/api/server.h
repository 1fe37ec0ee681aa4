#pragma once
// Answers requests of local root on a Unix socket, on a thread of its own: whoever it answers for
// never waits for a client. One request a connection; sizes, clients and times are capped. Owned by
// the supervisor.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace outguard::api {

struct ServerLimits {
  std::size_t request_bytes = 4096;
  std::size_t clients = 16;                ///< the next wait in the kernel's queue
  std::chrono::milliseconds request{2000}; ///< from connecting to the whole request
  std::chrono::milliseconds answer{5000};  ///< for the client to take it
};

class Server {
public:
  /// Makes the answer's line. Called on the server's thread: it must not wait for anybody.
  using Verb = std::function<std::string()>;

  /// Listens at FOLDER/PID.sock. Makes the folder for its owner only; one that others may write to
  /// is refused. Removes sockets that supervisors left behind which were killed.
  [[nodiscard]] static Result<std::unique_ptr<Server>>
  start(const std::string &folder, std::map<std::string, Verb> verbs, ServerLimits limits = {});
  /// Ends at once, whatever clients do, and removes the socket.
  ~Server();
  Server(const Server &) = delete;
  Server &operator=(const Server &) = delete;

  [[nodiscard]] const std::string &path() const { return path_; }

private:
  struct Client {
    Fd socket;
    std::string request, answer;
    std::size_t sent = 0;
    MonotonicTime deadline;
  };
  Server(std::string path, Fd listener, std::map<std::string, Verb> verbs, ServerLimits limits);
  void run();
  void take_client();
  /// False: it is done with, or gone.
  [[nodiscard]] bool serve(Client &client) const;
  [[nodiscard]] bool read_request(Client &client) const;
  [[nodiscard]] std::string answer_to(std::string_view line) const;

  const std::string path_;
  const Fd listener_;
  const Fd stop_; ///< eventfd
  const std::map<std::string, Verb> verbs_;
  const ServerLimits limits_;
  // Of the thread alone.
  std::vector<Client> clients_;
  MonotonicTime accepts_from_{}; ///< later than now: there were no descriptors left
  std::thread thread_;
};

} // namespace outguard::api
