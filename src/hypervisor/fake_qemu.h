#pragma once
// A QMP server on a Unix socket for tests, with faults to order. Owns its thread and socket;
// records the commands it was sent. Header only, so that it is in no product binary.

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"

namespace outguard::hypervisor {

class FakeQemu {
public:
  enum class Fault {
    None,
    NoGreeting,  ///< as when another client is connected
    NotQmp,      ///< greets with another protocol
    Garbage,     ///< answers are not JSON
    HugeReply,   ///< an answer that never ends
    Dribble,     ///< events for ever, never the answer
    CloseMidWay, ///< half an answer, then the end
    ErrorReply,  ///< every command but the negotiation fails
    Silent,      ///< takes commands, answers none but the negotiation
    Pretty,      ///< answers over several lines, as -qmp-pretty
  };
  /// JSON text of a command's "return".
  using Answer = std::function<std::string(const std::string &command)>;

  explicit FakeQemu(Fault fault = Fault::None, Answer answer = {},
                    const std::string &long_name = {})
      : fault_(fault), answer_(std::move(answer)) {
    static std::atomic<int> number = 0;
    folder_ = (std::filesystem::temp_directory_path() /
               ("outguard-qmp-" + std::to_string(::getpid()) + "-" + std::to_string(number++)))
                  .string();
    std::filesystem::create_directories(folder_);
    path_ = folder_ + "/q";
    listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ready_ = ::bind(listener_.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0 &&
             ::listen(listener_.get(), 4) == 0;
    if (!long_name.empty()) {
      const std::string moved = folder_ + "/" + long_name;
      std::filesystem::create_directories(moved);
      std::filesystem::rename(path_, moved + "/q");
      path_ = moved + "/q";
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeQemu() {
    stopping_ = true;
    thread_.join();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  FakeQemu(const FakeQemu &) = delete;
  FakeQemu &operator=(const FakeQemu &) = delete;

  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] const std::string &path() const { return path_; }
  /// Names only, in order, qmp_capabilities left out.
  [[nodiscard]] std::vector<std::string> commands() const {
    const std::lock_guard lock(lock_);
    return commands_;
  }

private:
  static constexpr int kTick = 20; // ms between two looks at stopping_

  [[nodiscard]] bool readable(int fd) const {
    while (!stopping_) {
      pollfd waiting{fd, POLLIN, 0};
      if (::poll(&waiting, 1, kTick) > 0) {
        return true;
      }
    }
    return false;
  }
  bool say(int client, const std::string &text) const {
    return ::send(client, text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }
  static std::string member(const std::string &line, const std::string &key) {
    const auto at = line.find("\"" + key + "\":");
    const auto start = at == std::string::npos ? at : at + key.size() + 3;
    const auto end = start == std::string::npos ? start : line.find_first_of(",}", start);
    return end == std::string::npos ? "" : line.substr(start, end - start);
  }

  void serve() {
    while (readable(listener_.get())) {
      const Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client && fault_ != Fault::NoGreeting) {
        talk(client.get());
      } else {
        while (!stopping_) {
          std::this_thread::sleep_for(std::chrono::milliseconds(kTick));
        }
      }
    }
  }

  void talk(int client) {
    say(client, fault_ == Fault::NotQmp ? "{\"hello\": 1}\n"
                                        : "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
    std::string received;
    std::array<char, 4096> chunk{};
    while (readable(client)) {
      const ssize_t got = ::recv(client, chunk.data(), chunk.size(), 0);
      if (got <= 0) {
        return;
      }
      received.append(chunk.data(), static_cast<std::size_t>(got));
      for (auto end = received.find('\n'); end != std::string::npos; end = received.find('\n')) {
        const std::string line = received.substr(0, end);
        received.erase(0, end + 1);
        if (!answer_line(client, line)) {
          return;
        }
      }
    }
  }

  bool answer_line(int client, const std::string &line) {
    std::string command = member(line, "execute");
    command = command.size() > 2 ? command.substr(1, command.size() - 2) : command;
    const std::string id = member(line, "id");
    const bool negotiation = command == "qmp_capabilities";
    if (!negotiation) {
      const std::lock_guard lock(lock_);
      commands_.push_back(command);
    }
    const std::string returned = negotiation || !answer_ ? "{}" : answer_(command);
    const std::string good = "{\"return\": " + returned + ", \"id\": " + id + "}\r\n";
    const std::string event = R"({"event": "STOP", "timestamp": {"seconds": 1}})"
                              "\r\n";
    switch (negotiation ? Fault::None : fault_) {
    case Fault::Garbage:
      return say(client, "HTTP/1.1 200 OK}\r\n");
    case Fault::HugeReply:
      say(client, R"({"return": ")");
      while (!stopping_ && say(client, std::string(65536, 'x'))) {
      }
      return false;
    case Fault::Dribble:
      while (!stopping_ && say(client, event)) {
      }
      return false;
    case Fault::CloseMidWay:
      say(client, good.substr(0, good.size() / 2));
      return false;
    case Fault::ErrorReply:
      return say(client,
                 R"({"error": {"class": "GenericError", "desc": "no \u001b[31mred"}, "id": )" + id +
                     "}\r\n");
    case Fault::Silent:
      return true;
    case Fault::Pretty:
      return say(client,
                 "{\r\n    \"return\": " + returned + ",\r\n    \"id\": " + id + "\r\n}\r\n");
    default:
      break;
    }
    // An event before the answer, and the answer to a command that was given up long ago.
    return say(client, event) && say(client, "{\"return\": {}, \"id\": 0}\r\n") &&
           say(client, good);
  }

  Fault fault_;
  Answer answer_;
  std::string folder_, path_;
  Fd listener_;
  bool ready_ = false;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex lock_;
  std::vector<std::string> commands_;
  std::thread thread_;
};

} // namespace outguard::hypervisor
