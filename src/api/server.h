#pragma once
// Answers requests of local root on a Unix socket, on a thread of its own: whoever it answers for
// never waits for a client. One request a connection; sizes, clients and times are capped. What may
// have to wait for a guest is worked on by a thread each, at most so many, so that no VM's slowness
// holds up a request about another; one request more is refused. Owned by the supervisor.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "api/requests.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace outguard::api {

struct ServerLimits {
  std::size_t request_bytes = 16'384;      ///< an isolation with kMostAllowed networks fits
  std::size_t clients = 24;                ///< the next wait in the kernel's queue
  std::size_t workers = 16;                ///< of them; those for clients that left count too
  std::chrono::milliseconds request{2000}; ///< from connecting to the whole request
  std::chrono::milliseconds answer{5000};  ///< for the client to take it
};

/// Who asks, by the kernel's word.
struct Peer {
  uid_t uid = 0;
  pid_t pid = 0;
};

class Server {
public:
  /// Makes the answer's line. For StatusAsked it is called on the server's thread and must not wait
  /// for anybody; for all else on one of its own, where it may take seconds, and gives up waiting
  /// once `gone`: the client has left, or the server ends. What was begun goes on then.
  using Answerer =
      std::function<std::string(const Request &, const Peer &, const std::stop_token &gone)>;

  /// Listens at FOLDER/PID.sock. Makes the folder for its owner only; one that others may write to
  /// is refused. Removes sockets that supervisors left behind which were killed.
  [[nodiscard]] static Result<std::unique_ptr<Server>>
  start(const std::string &folder, Answerer answerer, ServerLimits limits = {});
  /// Ends whatever clients do, once those who answer have given up, and removes the socket.
  ~Server();
  Server(const Server &) = delete;
  Server &operator=(const Server &) = delete;

  [[nodiscard]] const std::string &path() const { return path_; }

private:
  class Work; ///< one request on a thread of its own
  struct Client;
  Server(std::string path, Fd listener, Answerer answerer, ServerLimits limits);
  void run();
  void take_client();
  /// False: it is done with, or gone.
  [[nodiscard]] bool serve(Client &client, bool hung_up);
  [[nodiscard]] bool read_request(Client &client);
  void begin_answer(Client &client, std::string_view line);
  /// Takes answers that are ready; joins threads of clients that left.
  void collect();
  void remove(std::size_t client);

  const std::string path_;
  const Fd listener_;
  const Fd wake_; ///< eventfd: somebody's answer is there, or it is time to end
  const Answerer answerer_;
  const ServerLimits limits_;
  std::atomic<bool> ending_ = false;
  // Of the thread alone.
  std::vector<Client> clients_;
  std::vector<std::unique_ptr<Work>> abandoned_; ///< their clients have left
  MonotonicTime accepts_from_{};                 ///< later than now: there were no descriptors left
  std::thread thread_;
};

} // namespace outguard::api
