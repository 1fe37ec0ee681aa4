#include "bulk_tcp.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "hypervisor/network_namespace.h"

namespace outguard::bench {

using Clock = std::chrono::steady_clock;

namespace {

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval &time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

} // namespace

Throughput throughput(const Fd &from, const Fd &to, const char *to_address,
                      std::chrono::milliseconds time) {
  const auto make = [](const Fd &netns) {
    return need(hypervisor::in_namespace(netns, []() -> Result<Fd> {
      return Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    }));
  };
  const Fd listener = make(to);
  const Fd sender = make(from);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::inet_addr(to_address);
  socklen_t length = sizeof address;
  auto *name = reinterpret_cast<sockaddr *>(&address);
  need(::bind(listener.get(), name, length) == 0 && ::listen(listener.get(), 1) == 0 &&
           ::getsockname(listener.get(), name, &length) == 0 &&
           ::connect(sender.get(), name, length) == 0,
       "connect through the pair");
  const Fd receiver(::accept(listener.get(), nullptr, nullptr));
  std::atomic<bool> over{false};
  std::thread sending([&] {
    const std::vector<char> bytes(std::size_t{256} * 1024);
    while (!over && ::send(sender.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
    }
    ::shutdown(sender.get(), SHUT_WR);
  });
  std::vector<char> buffer(std::size_t{1024} * 1024);
  const double cpu_before = cpu_seconds();
  const auto start = Clock::now();
  std::uint64_t received = 0;
  while (Clock::now() - start < time) {
    const ssize_t got = ::recv(receiver.get(), buffer.data(), buffer.size(), 0);
    received += got > 0 ? static_cast<std::uint64_t>(got) : 0;
  }
  const std::chrono::duration<double> taken = Clock::now() - start;
  const double cpu = cpu_seconds() - cpu_before;
  over = true;
  while (::recv(receiver.get(), buffer.data(), buffer.size(), 0) > 0) {
  }
  sending.join();
  const double bits = 8 * static_cast<double>(received);
  return {bits / taken.count(), bits / cpu};
}

} // namespace outguard::bench
