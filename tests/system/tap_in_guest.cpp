// Runs inside a lab guest, so that the tap's filter meets that guest's kernel: its verifier, its
// hook, packets. The product's own code on a veth pair:  sockets ── tap0 ── veth0 in a namespace.
// Prints a line a check; the first word is "ok", "FAIL" or "SKIP". Ends with 0 if none failed.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypervisor/network_namespace.h"
#include "respond/tc_filter.h"

using namespace outguard;
using namespace outguard::respond;
using namespace std::chrono_literals;

namespace {

int failures = 0;

bool check(bool good, const std::string &what) {
  std::printf("%s %s\n", good ? "ok" : "FAIL", what.c_str());
  failures += good ? 0 : 1;
  return good;
}

bool run(const std::string &command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

/// Lives in a network namespace of its own until it is killed.
pid_t start_namespace() {
  std::array<int, 2> ready{};
  if (::pipe(ready.data()) != 0) {
    return -1;
  }
  const pid_t child = ::fork();
  if (child == 0) {
    const char done = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
    (void)!::write(ready[1], &done, 1);
    while (true) {
      ::pause();
    }
  }
  char done = 'n';
  return ::read(ready[0], &done, 1) == 1 && done == 'y' ? child : -1;
}

struct Ends {
  Fd guest, world;
  sockaddr_storage guest_address{}, world_address{};
  socklen_t length = 0;
};

sockaddr_storage address(IpFamily family, const char *text, std::uint16_t port) {
  sockaddr_storage made{};
  if (family == IpFamily::V4) {
    auto &four = reinterpret_cast<sockaddr_in &>(made);
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    ::inet_pton(AF_INET, text, &four.sin_addr);
  } else {
    auto &six = reinterpret_cast<sockaddr_in6 &>(made);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    ::inet_pton(AF_INET6, text, &six.sin6_addr);
  }
  return made;
}

Ends udp_ends(const Fd &guest_namespace, IpFamily family) {
  const bool v4 = family == IpFamily::V4;
  Ends ends;
  ends.length = v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  ends.guest_address = address(family, v4 ? "10.9.0.2" : "fd09::2", 4000);
  ends.world_address = address(family, v4 ? "10.9.0.1" : "fd09::1", 53);
  const auto bound = [&](const sockaddr_storage &own) -> Result<Fd> {
    Fd socket(::socket(own.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    for (int i = 0; i < 100; ++i) { // an address of IPv6 may be tentative for seconds
      if (::bind(socket.get(), reinterpret_cast<const sockaddr *>(&own), ends.length) == 0) {
        return socket;
      }
      ::usleep(100'000);
    }
    return fail_errno("bind");
  };
  auto guest = hypervisor::in_namespace(guest_namespace, [&] { return bound(ends.guest_address); });
  auto world = bound(ends.world_address);
  if (check(guest && world, "sockets of both ends")) {
    ends.guest = std::move(*guest);
    ends.world = std::move(*world);
  }
  return ends;
}

/// Whether one datagram comes through, of the tries that a link which has just come up may need.
bool passes(const Ends &ends, bool from_guest, int tries) {
  static std::uint32_t token = 0;
  const Fd &from = from_guest ? ends.guest : ends.world;
  const Fd &to = from_guest ? ends.world : ends.guest;
  const auto &there = from_guest ? ends.world_address : ends.guest_address;
  for (int i = 0; i < tries; ++i) {
    ++token;
    (void)::sendto(from.get(), &token, sizeof token, 0, reinterpret_cast<const sockaddr *>(&there),
                   ends.length);
    pollfd waiting{to.get(), POLLIN, 0};
    while (::poll(&waiting, 1, 100) == 1) {
      std::uint32_t got = 0;
      if (::recv(to.get(), &got, sizeof got, 0) == sizeof got && got == token) {
        return true;
      }
    }
  }
  return false;
}

void expect(const Ends &ends, bool pass, const std::string &what) {
  for (const bool from_guest : {true, false}) {
    check(passes(ends, from_guest, pass ? 50 : 1) == pass,
          what + (from_guest ? ", from the guest" : ", to the guest"));
  }
}

/// Every kind of rule: in force, then gone.
void try_rules(TapFilter &filter, const Ends &ends, const std::string &family) {
  const bool v4 = family == "IPv4";
  const auto local = *Endpoint::parse(v4 ? "10.9.0.2:4000" : "[fd09::2]:4000");
  const auto remote = *Endpoint::parse(v4 ? "10.9.0.1:53" : "[fd09::1]:53");
  const IpNetwork network = *IpNetwork::parse(v4 ? "10.9.0.0/24" : "fd09::/64");
  const IpNetwork other = *IpNetwork::parse(v4 ? "10.8.0.0/24" : "fd08::/64");
  expect(ends, true, family + " without a rule");
  for (const NetworkRule &rule :
       {NetworkRule(FlowRule{{17, local, remote}}), NetworkRule(RemoteRule{network}),
        NetworkRule(PortRule{17, 53, RuleDirection::Outbound}),
        NetworkRule(IsolationRule{{other}})}) {
    const auto added = filter.add(rule, 60s);
    if (!check(added.has_value(), added ? to_string(rule) : added.error().message)) {
      continue;
    }
    expect(ends, false, family + " " + to_string(rule));
    check(filter.remove(rule).has_value(), "removed");
    expect(ends, true, family + " after it");
  }
  const IsolationRule open{{network}};
  check(filter.add(open, 60s).has_value(), to_string(open));
  expect(ends, true, family + " what isolation lets through");
  check(filter.remove(open).has_value(), "removed");
}

void try_hook(const Fd &guest_namespace, TapHook hook) {
  const std::string name = hook == TapHook::Classic ? "clsact" : "the newest hook";
  const auto own = hypervisor::open_own_namespace();
  auto opened = TcFilter::open(*own, "tap0", hook);
  if (!check(opened.has_value(), name + (opened ? "" : ": " + opened.error().message))) {
    return;
  }
  const auto &program = dynamic_cast<TcFilter &>(**opened).program();
  std::printf("ok hook %s\n", program->is_tcx() ? "tcx" : "clsact");
  try_rules(**opened, udp_ends(guest_namespace, IpFamily::V4), "IPv4");
  try_rules(**opened, udp_ends(guest_namespace, IpFamily::V6), "IPv6");
  // What a restart finds: the rule, at work all the time.
  const NetworkRule kept = PortRule{17, 53, RuleDirection::Outbound};
  check((*opened)->add(kept, 2s).has_value(), "a rule that outlives who made it");
  opened->reset();
  auto again = TcFilter::open(*own, "tap0", hook);
  if (check(again.has_value(), "opened again" + (again ? "" : ": " + again.error().message))) {
    const auto ends = udp_ends(guest_namespace, IpFamily::V4);
    const auto rules = (*again)->list();
    check(rules && rules->size() == 1 && rules->front().rule == kept, "what was in force is found");
    const auto drops = (*again)->drops();
    check(drops && drops->port >= 1, "what was dropped is counted on");
    ::sleep(2);
    expect(ends, true, "when the kernel has ended it");
    check((*again)->remove_all().has_value(), "all is removed");
  }
}

} // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const pid_t other = start_namespace();
  // busybox cannot name the other end: it is veth0
  if (other < 0 || !run("ip link add tap0 type veth") ||
      !run("ip link set veth0 netns " + std::to_string(other))) {
    std::printf("SKIP no veth pair into a network namespace\n");
    return 0;
  }
  const Fd guest(::open(("/proc/" + std::to_string(other) + "/ns/net").c_str(), O_RDONLY));
  bool good =
      run("echo 0 > /proc/sys/net/ipv6/conf/tap0/accept_dad; "
          "ip addr add 10.9.0.1/24 dev tap0; ip addr add fd09::1/64 dev tap0; ip link set tap0 up");
  const auto inside = hypervisor::run_in_namespace(guest, [&] {
    good = good && run("echo 0 > /proc/sys/net/ipv6/conf/veth0/accept_dad; ip link set lo up; "
                       "ip addr add 10.9.0.2/24 dev veth0; "
                       "ip addr add fd09::2/64 dev veth0; ip link set veth0 up");
  });
  if (check(inside && good, "the pair is up")) {
    try_hook(guest, TapHook::Classic);
    try_hook(guest, TapHook::Newest);
  }
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  std::printf("%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
