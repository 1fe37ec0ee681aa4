// Bytes that a test makes up, sent by a guest's process; and a name server that only forwards.

#include <charconv>
#include <random>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

namespace lab {
namespace {

constexpr Duration kPauseBetweenPieces = std::chrono::milliseconds(50);
constexpr int kAnswerWaitMs = 200;

std::string from_hex(const std::string &text) {
  std::string bytes;
  for (size_t at = 0; at + 1 < text.size(); at += 2) {
    unsigned char byte = 0;
    const char *end = text.data() + at + 2;
    if (std::from_chars(text.data() + at, end, byte, 16).ptr != end)
      fail("hexadecimal digits");
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

// Reads what comes until nothing has come for a while.
void take_answers(int socket) {
  char buffer[65536];
  pollfd wanted{socket, POLLIN, 0};
  while (poll(&wanted, 1, kAnswerWaitMs) > 0) {
    if (recv(socket, buffer, sizeof buffer, 0) <= 0)
      return;
  }
}

// "tcp", "udp", or "ip:47": a raw socket of that IP protocol.
int socket_for(const std::string &kind, const Endpoint &destination) {
  if (kind.starts_with("ip:")) {
    return make_socket(destination.family(), SOCK_RAW,
                       static_cast<int>(parse_number(kind.substr(3))));
  }
  return make_socket(destination.family(), kind == "tcp" ? SOCK_STREAM : SOCK_DGRAM);
}

// "2" is always two seconds; "1-6" is anything between, each time anew.
class Intervals {
public:
  explicit Intervals(const std::string &text) {
    const size_t dash = text.find('-');
    least_ = parse_seconds(text.substr(0, dash));
    most_ = dash == std::string::npos ? least_ : parse_seconds(text.substr(dash + 1));
  }
  Duration next() {
    std::uniform_int_distribution<Duration::rep> spread(least_.count(), most_.count());
    return Duration(spread(random_));
  }

private:
  Duration least_{}, most_{};
  std::minstd_rand random_{static_cast<unsigned>(getpid())};
};

// KIND DEST HEX[,HEX] INTERVAL: each time on a new socket all pieces, each in a segment or datagram
// of its own, and then the answers.
int send_client(const Arguments &arguments) {
  const std::string &kind = arguments.at(0);
  const Endpoint destination = parse_endpoint(arguments.at(1));
  std::vector<std::string> pieces;
  for (const std::string &piece : split(arguments.at(2), ','))
    pieces.push_back(from_hex(piece));
  Intervals intervals(arguments.at(3));
  TalkCounter counter("send-client");
  for (;;) {
    const int socket = socket_for(kind, destination);
    bool is_sent = connect(socket, destination.address(), destination.length) == 0;
    const int yes = 1;
    if (kind == "tcp")
      setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    for (const std::string &piece : pieces) {
      is_sent = is_sent && send_all(socket, piece);
      sleep_for(kPauseBetweenPieces);
    }
    if (is_sent) {
      take_answers(socket);
      counter.count();
    }
    ready();
    close(socket);
    sleep_for(intervals.next());
  }
}

// LOCAL SERVER: answers questions about names with what SERVER says, one at a time, as a stub
// resolver does.
int name_forwarder(const Arguments &arguments) {
  const Endpoint local = parse_endpoint(arguments.at(0));
  const Endpoint server = parse_endpoint(arguments.at(1));
  const int asked = make_socket(local.family(), SOCK_DGRAM);
  if (bind(asked, local.address(), local.length) != 0)
    fail("bind");
  const int upstream = make_socket(server.family(), SOCK_DGRAM);
  if (connect(upstream, server.address(), server.length) != 0)
    fail("connect");
  ready();
  TalkCounter counter("name-forwarder");
  for (;;) {
    char message[1500];
    Endpoint peer;
    peer.length = sizeof peer.storage;
    const ssize_t question = recvfrom(asked, message, sizeof message, 0,
                                      reinterpret_cast<sockaddr *>(&peer.storage), &peer.length);
    if (question <= 0 || send(upstream, message, static_cast<size_t>(question), 0) < 0)
      continue;
    const ssize_t answer = recv(upstream, message, sizeof message, 0);
    if (answer > 0 &&
        sendto(asked, message, static_cast<size_t>(answer), 0, peer.address(), peer.length) > 0)
      counter.count();
  }
}

} // namespace

std::vector<Role> payload_roles() {
  return {
      {"send-client", "tcp|udp|ip:PROTOCOL DEST HEX[,HEX] INTERVAL[-INTERVAL]", send_client},
      {"name-forwarder", "LOCAL SERVER", name_forwarder},
  };
}

} // namespace lab
