// A second network namespace, joined to the first by a veth pair and routed out through it.

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datagram.h"
#include "net.h"
#include "roles.h"

namespace lab {
namespace {

constexpr const char *kTwinAddress = "10.78.200.2";
constexpr int kTwinPort = 41000;

void run_script(const std::string &script) {
  const pid_t child = fork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-ec", script.c_str(), nullptr);
    fail("/bin/sh");
  }
  int status = 1;
  waitpid(child, &status, 0);
  if (status != 0)
    fail("script: " + script);
}

// One process waits for another's word, or for its death. Each process calls one of the two, once.
struct Step {
  int ends[2];
  Step() {
    if (pipe(ends) != 0)
      fail("pipe");
  }
  void tell() const {
    if (write(ends[1], "x", 1) != 1)
      fail("pipe");
  }
  void wait() const {
    close(ends[1]);
    char byte;
    if (read(ends[0], &byte, 1) != 1)
      fail("pipe");
  }
};

// Makes a namespace for the calling process, with `outer`/`inner` addresses of a veth pair. A
// helper that stays behind in the old namespace makes the pair, since only it can reach both.
void enter_namespace(const std::string &outer, const std::string &inner,
                     const std::string &inner6) {
  const std::string self = std::to_string(getpid());
  const std::string link = "v" + self;
  const Step entered, linked;
  const pid_t helper = fork();
  if (helper == 0) {
    entered.wait();
    run_script(
        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding;"
        "ip link add " +
        link +
        " type veth;" // busybox cannot name the other end: find it by its index
        "peer=$(grep -lx $(cat /sys/class/net/" +
        link +
        "/iflink) /sys/class/net/*/ifindex | cut -d/ -f5);"
        "ip link set $peer name in" +
        self + "; ip link set in" + self + " netns " + self +
        ";"
        "ip addr add " +
        outer + "/32 dev " + link + "; ip link set " + link +
        " up;"
        "ip route add " +
        inner + "/32 dev " + link +
        " 2>/dev/null || true;"
        "ip -6 addr add fe80::1 dev " +
        link + " 2>/dev/null || ip -6 addr add fe80::1/64 dev " + link +
        ";"
        "ip -6 route add " +
        inner6 + "/128 dev " + link + " 2>/dev/null || true");
    linked.tell();
    _exit(0);
  }
  if (unshare(CLONE_NEWNET) != 0)
    fail("unshare");
  entered.tell();
  linked.wait();
  waitpid(helper, nullptr, 0);
  const std::string card = "in" + self;
  run_script("echo 0 > /proc/sys/net/ipv6/conf/" + card +
             "/accept_dad; ip link set lo up;"
             "ip link set " +
             card + " up; ip addr add " + inner + "/24 dev " + card +
             ";"
             "ip route add " +
             outer + "/32 dev " + card +
             " 2>/dev/null || true;"
             "ip route add default via " +
             outer + " dev " + card +
             ";"
             "ip -6 addr add " +
             inner6 + "/64 dev " + card + "; ip -6 route add default via fe80::1 dev " + card);
}

// A third octet for each pid, so that several roles of this kind do not meet.
std::string inner_network() {
  return "10.78." + std::to_string(1 + getpid() % 190);
}

void enter_own_namespace() {
  const std::string network = inner_network();
  enter_namespace(network + ".1", network + ".2",
                  "fd78:0:" + std::to_string(1 + getpid() % 190) + "::2");
}

int netns_beacon(const Arguments &arguments) {
  enter_own_namespace();
  beacon_forever(parse_endpoint(arguments.at(0)), parse_seconds(arguments.at(1)), "netns-beacon");
}

int netns_client(const Arguments &arguments) {
  enter_own_namespace();
  chat_forever(parse_endpoint(arguments.at(0)), parse_seconds(arguments.at(1)), "netns-client");
}

// A UDP socket with the twins' own address and a fixed port, connected.
int twin_socket(const Endpoint &destination) {
  const Endpoint local =
      parse_endpoint(std::string(kTwinAddress) + ":" + std::to_string(kTwinPort));
  const int made = make_socket(AF_INET, SOCK_DGRAM);
  if (bind(made, local.address(), local.length) != 0)
    fail("bind");
  if (connect(made, destination.address(), destination.length) != 0)
    fail("connect");
  return made;
}

// A connection over loopback from the fixed port to the next one: the same 4-tuple in every
// namespace.
void twin_connection() {
  const Endpoint server = parse_endpoint("127.0.0.1:" + std::to_string(kTwinPort + 1));
  const Endpoint client = parse_endpoint("127.0.0.1:" + std::to_string(kTwinPort));
  const int listener = listen_at(server);
  const int made = make_socket(AF_INET, SOCK_STREAM);
  if (bind(made, client.address(), client.length) != 0)
    fail("bind");
  if (connect(made, server.address(), server.length) != 0 || accept(listener, nullptr, nullptr) < 0)
    fail("twin");
}

// DEST INTERVAL: two processes in two namespaces with the same UDP and the same TCP 4-tuple. Only
// the parent's UDP socket sends, and only it is routed; the child's is silent.
int netns_twins(const Arguments &arguments) {
  const Endpoint destination = parse_endpoint(arguments.at(0));
  const Duration interval = parse_seconds(arguments.at(1));
  const Step child_set;
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNET) != 0)
      fail("unshare");
    run_script("ip link set lo up; ip addr add " + std::string(kTwinAddress) +
               "/32 dev lo;"
               "ip route add default dev lo");
    twin_socket(destination);
    twin_connection();
    child_set.tell();
    stay();
  }
  child_set.wait();
  enter_namespace("10.78.200.1", kTwinAddress, "fd78:0:200::2");
  const int beacon = twin_socket(destination);
  twin_connection();
  announce("child", child);
  ready();
  TalkCounter counter("netns-twins");
  for (;;) {
    if (send(beacon, "beacon\n", 7, 0) == 7)
      counter.count();
    sleep_for(interval);
  }
}

// CARD ADDRESS/BITS GATEWAY DEST INTERVAL: moves a whole network card into the new namespace.
int netns_card(const Arguments &arguments) {
  const std::string card = arguments.at(0), self = std::to_string(getpid());
  const Step entered, moved;
  const pid_t helper = fork();
  if (helper == 0) {
    entered.wait();
    run_script("ip link set " + card + " netns " + self);
    moved.tell();
    _exit(0);
  }
  if (unshare(CLONE_NEWNET) != 0)
    fail("unshare");
  entered.tell();
  moved.wait();
  waitpid(helper, nullptr, 0);
  run_script("ip link set lo up; ip link set " + card + " up; ip addr add " + arguments.at(1) +
             " dev " + card + "; ip route add default via " + arguments.at(2));
  beacon_forever(parse_endpoint(arguments.at(3)), parse_seconds(arguments.at(4)), "netns-card");
}

} // namespace

std::vector<Role> namespace_roles() {
  return {
      {"netns-beacon", "DEST INTERVAL", netns_beacon},
      {"netns-client", "DEST INTERVAL", netns_client},
      {"netns-twins", "DEST INTERVAL", netns_twins},
      {"netns-card", "CARD ADDRESS/BITS GATEWAY DEST INTERVAL", netns_card},
  };
}

} // namespace lab
