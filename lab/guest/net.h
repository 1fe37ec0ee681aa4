// Small helpers around sockets. Descriptors are plain: they live as long as the role's process.
#pragma once

#include <string>

#include <sys/socket.h>

#include "report.h"
#include "text.h"

namespace lab {

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const { return storage.ss_family; }
  const sockaddr *address() const { return reinterpret_cast<const sockaddr *>(&storage); }
};

// "203.0.113.66:4444" or "[2001:db8::66]:4444". Ends the process when it is neither.
Endpoint parse_endpoint(const std::string &text);

// The same IPv4 place as ::ffff:a.b.c.d, for AF_INET6 sockets.
Endpoint mapped_to_ipv6(const Endpoint &ipv4);

// A new socket whose reads and connects give up after five seconds; ends the process on failure.
int make_socket(int family, int type, int protocol = 0);

// A connected TCP socket, or -1.
int try_connect(const Endpoint &destination);

// The same; ends the process on failure.
int connected_to(const std::string &destination);

// Sends a descriptor over a unix socket and closes it: it lives in the receiver's queue only.
void send_away(int channel, int descriptor);

// One that was sent so; ends the process when none came.
int receive_descriptor(int channel);

// A listening TCP socket with `backlog`; ends the process on failure.
int listen_at(const Endpoint &local, int backlog = 16);

// The port that the kernel chose; 0 on failure.
int local_port(int socket);

bool send_all(int socket, const std::string &text);

// Sends a line each interval and reads its echo, counting; returns when that fails.
void chat_over(int socket, Duration interval, TalkCounter &counter);

// Connects, calls `ready` (also when nobody answers), chats, and starts over. Never returns.
[[noreturn]] void chat_forever(const Endpoint &destination, Duration interval,
                               const std::string &role);

void sleep_for(Duration duration);

// Waits for a signal, for ever.
[[noreturn]] void stay();

// Calls `ready`, and stays.
[[noreturn]] void stay_ready();

} // namespace lab
