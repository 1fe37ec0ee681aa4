// Clients of protocols that a network sensor reads: HTTP, DNS, TLS.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/time.h>
#include <unistd.h>

#include "client_hello.h"
#include "net.h"
#include "roles.h"

namespace lab {
namespace {

constexpr Duration kPauseBetweenSegments = std::chrono::milliseconds(50);

// Reads until the peer closes or gives up; whether anything came.
bool drain(int connection) {
  char buffer[4096];
  bool has_data = false;
  while (recv(connection, buffer, sizeof buffer, 0) > 0)
    has_data = true;
  return has_data;
}

// Keeps the connection and sleeps in recv, as who waits for orders does, until the time is over.
void read_for(int connection, Duration time) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (;;) {
    const auto left = std::chrono::duration_cast<Duration>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      return;
    const timeval patience{left.count() / 1'000'000, left.count() % 1'000'000};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char buffer[4096];
    if (recv(connection, buffer, sizeof buffer, 0) == 0)
      return sleep_for(left);
  }
}

// DEST HOST PATH INTERVAL: a GET on a new connection each time.
int http_client(const Arguments &arguments) {
  const Endpoint destination = parse_endpoint(arguments.at(0));
  const std::string request = "GET " + arguments.at(2) + " HTTP/1.1\r\nHost: " + arguments.at(1) +
                              "\r\nUser-Agent: lab/1.0\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  const Duration interval = parse_seconds(arguments.at(3));
  TalkCounter counter("http-client");
  for (;;) {
    const int connection = try_connect(destination);
    if (connection >= 0) {
      if (send_all(connection, request) && drain(connection))
        counter.count();
      close(connection);
    }
    ready();
    sleep_for(interval);
  }
}

// A query for one A record, recursion desired.
std::string dns_query(uint16_t id, const std::string &name) {
  std::string query = {
      static_cast<char>(id >> 8), static_cast<char>(id & 0xff), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  for (const std::string &label : split(name, '.'))
    query += static_cast<char>(label.size()) + label;
  return query + std::string({0, 0, 1, 0, 1});
}

// SERVER NAME INTERVAL: one socket for all queries.
int dns_client(const Arguments &arguments) {
  const Endpoint server = parse_endpoint(arguments.at(0));
  const Duration interval = parse_seconds(arguments.at(2));
  const int resolver = make_socket(server.family(), SOCK_DGRAM);
  if (connect(resolver, server.address(), server.length) != 0)
    fail("connect");
  TalkCounter counter("dns-client");
  ready();
  for (uint16_t id = 1;; ++id) {
    const std::string query = dns_query(id, arguments.at(1));
    char answer[512];
    if (send(resolver, query.data(), query.size(), 0) > 0 &&
        recv(resolver, answer, sizeof answer, 0) > 12) {
      counter.count();
    }
    sleep_for(interval);
  }
}

// DEST SNI INTERVAL: the ClientHello in two segments, cut inside the server name.
int tls_client(const Arguments &arguments) {
  const Endpoint destination = parse_endpoint(arguments.at(0));
  const std::string server_name = arguments.at(1);
  const Duration interval = parse_seconds(arguments.at(2));
  TalkCounter counter("tls-client");
  for (;;) {
    const int connection = try_connect(destination);
    ready();
    if (connection >= 0) {
      const int yes = 1;
      setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      const std::string hello = client_hello(server_name);
      const size_t cut = hello.find(server_name) + server_name.size() / 2;
      bool is_sent = send_all(connection, hello.substr(0, cut));
      sleep_for(kPauseBetweenSegments);
      is_sent = is_sent && send_all(connection, hello.substr(cut));
      char answer[4096];
      if (is_sent && recv(connection, answer, sizeof answer, 0) > 0)
        counter.count();
      read_for(connection, interval);
      close(connection);
    } else {
      sleep_for(interval);
    }
  }
}

} // namespace

std::vector<Role> application_roles() {
  return {
      {"http-client", "DEST HOST PATH INTERVAL", http_client},
      {"dns-client", "SERVER:PORT NAME INTERVAL", dns_client},
      {"tls-client", "DEST SERVER_NAME INTERVAL", tls_client},
  };
}

} // namespace lab
