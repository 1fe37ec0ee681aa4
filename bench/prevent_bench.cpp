// What holding first packets costs, in namespaces of its own: a veth pair stands for a tap that is
// the port of a bridge, one end is the guest's, and a thread here is the judge, which knows at
// once. How many packets to a listed address reach the bridge; what a new allowed flow waits more
// than without; bulk TCP past it; how many flows a second can begin. Needs root.
//
//   prevent_bench [ROUNDS] [FLOWS]      default 10 of 500 flows
//
// Prints one JSON object.
#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bulk_tcp.h"
#include "hypervisor/network_namespace.h"
#include "respond/hold_gate.h"
#include "respond/test_judge.h"

namespace {

using namespace outguard;
using namespace outguard::respond;
using namespace outguard::bench;
using Clock = std::chrono::steady_clock;

constexpr unsigned kTries = 1000;
constexpr std::uint16_t kEcho = 7;
const char *const kWorld4 = "10.66.0.1", *const kListed4 = "10.66.0.9";
const char *const kWorld6 = "fd66::1", *const kListed6 = "fd66::9";
const HoldSettings kSettings{.fail_open = false};

Fd netns_of(const std::string &name) {
  return Fd(::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
}

struct Address {
  sockaddr_storage bytes{};
  socklen_t size = 0;

  Address(const char *text, std::uint16_t port) {
    const bool v6 = std::string(text).find(':') != std::string::npos;
    if (v6) {
      auto &in6 = reinterpret_cast<sockaddr_in6 &>(bytes);
      in6.sin6_family = AF_INET6;
      in6.sin6_port = htons(port);
      need(::inet_pton(AF_INET6, text, &in6.sin6_addr) == 1, text);
    } else {
      auto &in = reinterpret_cast<sockaddr_in &>(bytes);
      in.sin_family = AF_INET;
      in.sin_port = htons(port);
      need(::inet_pton(AF_INET, text, &in.sin_addr) == 1, text);
    }
    size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  }
  [[nodiscard]] const sockaddr *get() const { return reinterpret_cast<const sockaddr *>(&bytes); }
};

/// For sockets of the guest: this thread lives there.
Fd socket_to(const Address &to, int type) {
  Fd made(::socket(to.get()->sa_family, type | SOCK_CLOEXEC, 0));
  need(static_cast<bool>(made), "socket");
  return made;
}

/// Echoes datagrams and accepts connections, on every address of the world.
class World {
public:
  explicit World(const Fd &netns) {
    for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
      sockets_.push_back(need(hypervisor::in_namespace(netns, [&]() -> Result<Fd> {
        const Address any("::", kEcho);
        Fd made(::socket(AF_INET6, type | SOCK_CLOEXEC, 0));
        need(::bind(made.get(), any.get(), any.size) == 0 &&
                 (type == SOCK_DGRAM || ::listen(made.get(), 1024) == 0),
             "bind the world's sockets");
        return made;
      })));
      threads_.emplace_back(
          [this, fd = sockets_.back().get(), type] { type == SOCK_DGRAM ? echo(fd) : accept(fd); });
    }
  }
  World(const World &) = delete;
  World &operator=(const World &) = delete;
  ~World() {
    over_ = true;
    for (auto &thread : threads_) {
      thread.join();
    }
  }

private:
  [[nodiscard]] bool is_ready(int fd) const {
    pollfd waiting{fd, POLLIN, 0};
    while (!over_) {
      if (::poll(&waiting, 1, 100) > 0) {
        return true;
      }
    }
    return false;
  }
  void echo(int fd) const {
    std::array<char, 64> data{};
    sockaddr_storage from{};
    while (is_ready(fd)) {
      socklen_t size = sizeof from;
      auto *name = reinterpret_cast<sockaddr *>(&from);
      const ssize_t got = ::recvfrom(fd, data.data(), data.size(), 0, name, &size);
      (void)::sendto(fd, data.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)), 0, name,
                     size);
    }
  }
  void accept(int fd) const {
    while (is_ready(fd)) {
      const Fd accepted(::accept(fd, nullptr, nullptr));
    }
  }

  std::vector<Fd> sockets_;
  std::vector<std::thread> threads_;
  std::atomic<bool> over_{false};
};

/// Refuses what goes to the listed addresses: they end in 9.
HoldVerdict decide(const WholeFrame &frame) {
  const std::size_t end = frame.bytes.size() > 13 && frame.bytes[12] == 0x86 ? 14 + 39 : 14 + 19;
  return frame.bytes.size() > end && frame.bytes[end] == 9 ? HoldVerdict::Refuse
                                                           : HoldVerdict::Allow;
}

class Prevention {
public:
  explicit Prevention(const Fd &netns)
      : gate_(need(HoldGate::open(netns, "tap0", kSettings))),
        judge_(std::make_unique<TestJudge>(need(gate_.judge_descriptors()), decide)) {}
  Prevention(const Prevention &) = delete;
  Prevention &operator=(const Prevention &) = delete;
  ~Prevention() {
    judge_.reset();
    need(gate_.remove());
  }
  [[nodiscard]] HoldCounts counts() const { return need(gate_.counts()); }
  [[nodiscard]] const HoldProgram &program() const { return gate_.program(); }

private:
  HoldGate gate_;
  std::unique_ptr<TestJudge> judge_;
};

double microseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::micro>(Clock::now() - since).count();
}

/// From the first packet to its answer.
double one_flow(const char *address, int type) {
  const Address to(address, kEcho);
  const Fd socket = socket_to(to, type);
  const auto start = Clock::now();
  if (type == SOCK_STREAM) {
    need(::connect(socket.get(), to.get(), to.size) == 0, "connect to the world");
    const double taken = microseconds(start);
    const linger at_once{1, 0};
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return taken;
  }
  char byte = 0;
  pollfd waiting{socket.get(), POLLIN, 0};
  need(::sendto(socket.get(), &byte, 1, 0, to.get(), to.size) == 1 &&
           ::poll(&waiting, 1, 5000) == 1 && ::recv(socket.get(), &byte, 1, 0) == 1,
       "an echo of the world");
  return microseconds(start);
}

/// Sends the first packet of a flow, and waits for nothing.
void try_one(const char *address, int type) {
  const Address to(address, kEcho);
  const Fd socket = socket_to(to, type | SOCK_NONBLOCK);
  if (type == SOCK_STREAM) {
    (void)::connect(socket.get(), to.get(), to.size);
  } else {
    (void)::sendto(socket.get(), "x", 1, 0, to.get(), to.size);
  }
}

std::uint64_t packets_at_bridge(const std::string &host) {
  const std::string command = "ip netns exec " + host + " nft list counter bridge bench listed";
  FILE *pipe = ::popen(command.c_str(), "r");
  need(pipe != nullptr, "read the bridge's counter");
  std::array<char, 512> text{};
  const std::size_t got = std::fread(text.data(), 1, text.size() - 1, pipe);
  ::pclose(pipe);
  const char *found = std::strstr(text.data(), "packets ");
  need(got > 0 && found != nullptr, "read the bridge's counter");
  return std::strtoull(found + 8, nullptr, 10);
}

double quantile(std::vector<double> samples, double share) {
  std::sort(samples.begin(), samples.end());
  const auto last = static_cast<double>(samples.size() - 1);
  return samples[static_cast<std::size_t>(last * share)];
}

struct Latency {
  const char *name;
  const char *address;
  int type;
  std::vector<double> base{}, held{};
};

/// Datagrams of new flows at a rate for half a second; whether each was judged and let out.
bool holds_rate(const Prevention &prevention, unsigned rate) {
  static std::uint32_t next = 0;
  const auto before = prevention.counts();
  const Address to(kWorld4, 9); // discarded there
  std::vector<Fd> sources;      // remote ports tell the flows apart: no socket a flow
  for (int i = 0; i < 8; ++i) {
    sources.push_back(socket_to(to, SOCK_DGRAM));
  }
  const auto start = Clock::now();
  unsigned sent = 0;
  while (sent < rate / 2) {
    const auto due = static_cast<unsigned>(microseconds(start) * rate / 1e6);
    for (; sent < std::min(due, rate / 2); ++sent) {
      Address flow = to;
      reinterpret_cast<sockaddr_in &>(flow.bytes).sin_port =
          htons(static_cast<std::uint16_t>(1024 + (++next / 8) % 60000));
      (void)::sendto(sources[next % 8].get(), "x", 1, 0, flow.get(), flow.size);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  for (int i = 0; i < 100; ++i) {
    if (prevention.counts().allowed - before.allowed >= sent) {
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const auto after = prevention.counts();
  return after.held - before.held >= sent && after.allowed - before.allowed >= sent &&
         after.full_closed == before.full_closed && after.dead_closed == before.dead_closed;
}

/// Of a packet of 66 bytes from the guest whose flow is allowed; least of several.
std::uint32_t program_ns(const Prevention &prevention) {
  tap::HoldFlow flow{};
  flow.flow = {4, 6, 40000, 443, 0, {10, 66, 0, 2}, {10, 66, 0, 1}};
  flow.tags[0] = flow.tags[1] = 0xffff;
  tap::HoldVerdictKept allowed{};
  allowed.until = ~0ULL >> 1;
  need(write_map(prevention.program().maps().verdicts, &flow, &allowed));
  std::array<std::uint8_t, 66> frame{2,  0,  0, 0, 0,  1,  2, 0, 0,   0,  0, 2,  8,
                                     0,  69, 0, 0, 52, 0,  0, 0, 0,   64, 6, 0,  0,
                                     10, 66, 0, 2, 10, 66, 0, 1, 156, 64, 1, 187};
  frame[46] = 0x80;
  frame[47] = 0x10;
  std::uint32_t least = ~0U;
  for (int i = 0; i < 9; ++i) {
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = frame.size();
    options.repeat = 200'000;
    need(::bpf_prog_test_run_opts(prevention.program().programs()[0].get(), &options) == 0,
         "BPF_PROG_TEST_RUN");
    need(static_cast<int>(options.retval) == -1, "a packet that passes");
    least = std::min(least, options.duration);
  }
  return least;
}

void set_up(const std::string &guest, const std::string &host, const std::string &world) {
  const std::string in = "ip -n " + host + " ";
  const auto address = [](const std::string &netns, const std::string &text) {
    return " && ip -n " + netns + " addr add " + text + " dev eth0" +
           (text.find(':') == std::string::npos ? "" : " nodad");
  };
  const std::string commands =
      "ip netns add " + guest + " && ip netns add " + host + " && ip netns add " + world + " && " +
      in + "link add br0 type bridge forward_delay 0 mcast_snooping 0 && " + in +
      "link add tap0 type veth peer name eth0 netns " + guest + " && " + in +
      "link add w type veth peer name eth0 netns " + world + " && " + in +
      "link set tap0 master br0 up && " + in + "link set w master br0 up && " + in +
      "link set br0 up && ip -n " + guest + " link set eth0 up && ip -n " + world +
      " link set eth0 up" + address(guest, "10.66.0.2/24") + address(guest, "fd66::2/64") +
      address(world, "10.66.0.1/24") + address(world, "10.66.0.9/24") +
      address(world, "fd66::1/64") + address(world, "fd66::9/64") + " && ip netns exec " + host +
      " nft 'add table bridge bench; add counter bridge bench listed; add chain bridge bench c { "
      "type filter hook prerouting priority -300; }; add rule bridge bench c ip daddr 10.66.0.9 "
      "meta l4proto {tcp, udp} counter name listed; add rule bridge bench c ip6 daddr fd66::9 meta "
      "l4proto {tcp, udp} counter name listed'";
  need(std::system(commands.c_str()) == 0, "make a bridge");
}

} // namespace

int main(int count, char **arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 10;
  const int flows = count > 2 ? std::atoi(arguments[2]) : 500;
  need(::unshare(CLONE_NEWNS) == 0 &&
           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("bpf", kBpfFilesystem, "bpf", 0, nullptr) == 0,
       "mount a bpffs of its own");
  const std::string id = "ogpb" + std::to_string(::getpid());
  static const std::array names{id + "g", id + "h", id + "w"};
  std::atexit([] { // also when it gives up
    for (const auto &name : names) {
      (void)!std::system(("ip netns delete " + name + " 2>/dev/null").c_str());
    }
  });
  set_up(names[0], names[1], names[2]);
  const Fd guest = netns_of(names[0]);
  const Fd host = netns_of(names[1]);
  const Fd world_netns = netns_of(names[2]);
  auto world = std::make_unique<World>(world_netns);
  need(::setns(guest.get(), CLONE_NEWNET) == 0, "live in the guest's namespace");

  struct Listed {
    const char *name, *address;
    int type;
    std::uint64_t without = 0, with = 0;
  };
  std::array listed{Listed{"tcp", kListed4, SOCK_STREAM}, Listed{"udp", kListed4, SOCK_DGRAM},
                    Listed{"tcp6", kListed6, SOCK_STREAM}, Listed{"udp6", kListed6, SOCK_DGRAM}};
  for (auto &one : listed) {
    const auto before = packets_at_bridge(names[1]);
    for (unsigned i = 0; i < 10; ++i) {
      try_one(one.address, one.type);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    one.without = packets_at_bridge(names[1]) - before;
    const Prevention prevention(host);
    const auto start = packets_at_bridge(names[1]);
    for (unsigned i = 0; i < kTries; ++i) {
      try_one(one.address, one.type);
      if (i % 50 == 49) { // not more at once than can wait
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    one.with = packets_at_bridge(names[1]) - start;
    const auto counts = prevention.counts();
    need(counts.refused == counts.held && counts.refused + counts.refused_after >= kTries &&
             counts.allowed == 0,
         "each is refused");
  }

  std::array latencies{Latency{"udp", kWorld4, SOCK_DGRAM}, Latency{"udp6", kWorld6, SOCK_DGRAM},
                       Latency{"tcp", kWorld4, SOCK_STREAM}};
  for (int round = 0; round < rounds; ++round) {
    for (auto &one : latencies) {
      for (int i = 0; i < flows; ++i) {
        one.base.push_back(one_flow(one.address, one.type));
      }
      const Prevention prevention(host);
      for (int i = 0; i < flows; ++i) {
        one.held.push_back(one_flow(one.address, one.type));
      }
      // A source port may come twice: such a flow is known.
      need(prevention.counts().held * 10 >= static_cast<std::uint64_t>(flows) * 9,
           "new flows are held");
    }
  }

  std::vector<double> none, ratios, cpu_ratios;
  for (int round = 0; round < std::max(rounds, 3); ++round) {
    const std::chrono::milliseconds time(200);
    const auto without = throughput(guest, world_netns, kWorld4, time);
    const Prevention prevention(host);
    const auto with = throughput(guest, world_netns, kWorld4, time);
    none.push_back(without.bits_a_second / 1e9);
    ratios.push_back(with.bits_a_second / without.bits_a_second);
    cpu_ratios.push_back(with.bits_a_cpu_second / without.bits_a_cpu_second);
  }

  unsigned knee = 0;
  std::uint32_t established_ns = 0;
  {
    const Prevention prevention(host);
    established_ns = program_ns(prevention);
    // Once more if not: the machine may have had other work.
    for (unsigned rate = 5000;
         rate <= 100'000 && (holds_rate(prevention, rate) || holds_rate(prevention, rate) ||
                             holds_rate(prevention, rate));
         rate += 2500) {
      knee = rate;
    }
  }
  world.reset();

  fmt::print("{{\"listed\": {{");
  for (const auto &one : listed) {
    fmt::print(R"({}"{}": {{"without": {}, "tries": {}, "reached": {}}})",
               &one == &listed[0] ? "" : ", ", one.name, one.without, kTries, one.with);
  }
  fmt::print("}}, \"latency_us\": {{");
  for (const auto &one : latencies) {
    fmt::print(R"({}"{}": {{"base": [{:.1f}, {:.1f}], "held": [{:.1f}, {:.1f}]}})",
               &one == &latencies[0] ? "" : ", ", one.name, quantile(one.base, 0.5),
               quantile(one.base, 0.99), quantile(one.held, 0.5), quantile(one.held, 0.99));
  }
  fmt::print("}}, \"none_gbit_s\": {:.2f}, \"ratio\": {:.3f}, \"cpu_ratio\": {:.3f}, "
             "\"established_ns\": {}, \"knee_flows_s\": {}}}\n",
             quantile(none, 0.5), quantile(ratios, 0.5), quantile(cpu_ratios, 0.5), established_ns,
             knee);
  return 0;
}
