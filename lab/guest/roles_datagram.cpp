// UDP and raw sockets.

#include <cstring>

#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <unistd.h>

#include "datagram.h"
#include "net.h"
#include "roles.h"

namespace lab {
namespace {

int udp_client(const Arguments &arguments) {
  udp_chat_forever(parse_endpoint(arguments.at(0)), parse_seconds(arguments.at(1)), "udp-client");
}

int udp_beacon(const Arguments &arguments) {
  beacon_forever(parse_endpoint(arguments.at(0)), parse_seconds(arguments.at(1)), "udp-beacon");
}

int udp_server(const Arguments &arguments) {
  const Endpoint local = parse_endpoint(arguments.at(0));
  const int server = make_socket(local.family(), SOCK_DGRAM);
  if (bind(server, local.address(), local.length) != 0)
    fail("bind");
  announce("port", local_port(server));
  ready();
  TalkCounter counter("udp-server");
  for (;;) {
    char buffer[2048];
    Endpoint peer;
    peer.length = sizeof peer.storage;
    const ssize_t count = recvfrom(server, buffer, sizeof buffer, 0,
                                   reinterpret_cast<sockaddr *>(&peer.storage), &peer.length);
    if (count >= 0 &&
        sendto(server, buffer, static_cast<size_t>(count), 0, peer.address(), peer.length) >= 0) {
      counter.count();
    }
  }
}

uint16_t internet_checksum(const unsigned char *bytes, size_t length) {
  uint32_t sum = 0;
  for (size_t at = 0; at + 1 < length; at += 2)
    sum += static_cast<uint32_t>(bytes[at] << 8 | bytes[at + 1]);
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<uint16_t>(~sum));
}

// ICMP echo through a raw socket, as ping does as root. DEST is an address without a port.
int raw_ping(const Arguments &arguments) {
  const Endpoint destination = parse_endpoint(arguments.at(0) + ":0");
  const Duration interval = parse_seconds(arguments.at(1));
  const int raw = make_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (connect(raw, destination.address(), destination.length) != 0)
    fail("connect");
  ready();
  TalkCounter counter("raw-ping");
  for (uint16_t number = 1;; ++number) {
    icmphdr echo{};
    echo.type = ICMP_ECHO;
    echo.un.echo.id = htons(static_cast<uint16_t>(getpid()));
    echo.un.echo.sequence = htons(number);
    echo.checksum = internet_checksum(reinterpret_cast<const unsigned char *>(&echo), sizeof echo);
    char answer[256];
    if (send(raw, &echo, sizeof echo, 0) > 0 && recv(raw, answer, sizeof answer, 0) > 0)
      counter.count();
    sleep_for(interval);
  }
}

} // namespace

void udp_chat_forever(const Endpoint &destination, Duration interval, const std::string &role) {
  const int client = make_socket(destination.family(), SOCK_DGRAM);
  if (connect(client, destination.address(), destination.length) != 0)
    fail("connect");
  ready();
  TalkCounter counter(role);
  for (;;) {
    char echo[256];
    if (send(client, "hello\n", 6, 0) > 0 && recv(client, echo, sizeof echo, 0) > 0)
      counter.count();
    sleep_for(interval);
  }
}

void beacon_forever(const Endpoint &destination, Duration interval, const std::string &role) {
  const int beacon = make_socket(destination.family(), SOCK_DGRAM);
  TalkCounter counter(role);
  for (;;) {
    const bool is_sent =
        sendto(beacon, "beacon\n", 7, 0, destination.address(), destination.length) == 7;
    if (is_sent)
      counter.count();
    ready();
    sleep_for(interval);
  }
}

std::vector<Role> datagram_roles() {
  return {
      {"udp-client", "DEST INTERVAL", udp_client},
      {"udp-beacon", "DEST INTERVAL", udp_beacon},
      {"udp-server", "ADDRESS:PORT", udp_server},
      {"raw-ping", "ADDRESS INTERVAL", raw_ping},
  };
}

} // namespace lab
