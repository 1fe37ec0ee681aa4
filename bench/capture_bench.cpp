// Live capture, in a network namespace of its own: a veth pair stands for a tap, one end the
// guest's side, the other one guarded by a sensor with intelligence. Looks for the highest rate at
// which nothing is lost, then offers more than that from every processor and compares what was sent
// with the sensor's account. Packets come from a capture, both ways, again and again. Needs root.
//
//   capture_bench IMAGE CAPTURE [SECONDS]      of each try, default 2
//
// Prints one JSON object. The sensor shares the last processor with a sender; the kernel's part of
// receiving runs where the packet is sent.
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "guest/packets/pcap_file_source.h"
#include "hypervisor/network_namespace.h"
#include "hypervisor/packet_ring_opener.h"
#include "launch/sensor_process.h"

namespace {

using namespace outguard;
using std::chrono::duration_cast;
using std::chrono::nanoseconds;

constexpr char kGuestSide[] = "ogbench0", kTap[] = "ogbench1";
constexpr std::size_t kMostPackets = 300'000; ///< of the capture, kept in memory
constexpr std::size_t kBurst = 32;
constexpr std::chrono::seconds kPatience{20};

[[noreturn]] void give_up(const std::string &why) {
  std::fprintf(stderr, "capture_bench: %s\n", why.c_str());
  std::exit(1);
}
void need(bool good, const char *what) {
  if (!good) {
    give_up(std::string(what) + ": " + std::strerror(errno));
  }
}

// ---- What is sent ----------------------------------------------------------------------

struct Frame {
  bool from_guest = true;
  std::size_t offset = 0;
  std::size_t size = 0;
};
struct Frames {
  std::vector<std::uint8_t> bytes;
  std::vector<Frame> frames;
};

Frames read_frames(const char *path) {
  Frames all;
  guest::PcapFileSource source(Fd(::open(path, O_RDONLY | O_CLOEXEC)));
  constexpr std::size_t kSourceMac = 6, kMac = 6;
  std::array<std::uint8_t, kMac> guest_mac{}; // whoever speaks first
  while (all.frames.size() < kMostPackets) {
    const auto batch = source.next();
    if (!batch || batch->empty()) {
      break;
    }
    for (const auto &packet : *batch) {
      const auto *mac = packet.bytes.data() + kSourceMac;
      if (all.frames.empty()) {
        std::copy_n(mac, kMac, guest_mac.begin());
      }
      all.frames.push_back({std::equal(guest_mac.begin(), guest_mac.end(), mac), all.bytes.size(),
                            packet.bytes.size()});
      all.bytes.insert(all.bytes.end(), packet.bytes.begin(), packet.bytes.end());
    }
  }
  if (all.frames.empty()) {
    give_up("no packets in the capture");
  }
  return all;
}

/// Sends on both ends of the pair from one thread.
class Sender {
public:
  explicit Sender(const Frames &frames) : frames_(frames) {
    for (const char *device : {kGuestSide, kTap}) {
      Fd socket(
          ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); // of no protocol: receives nothing
      sockaddr_ll address{};
      address.sll_family = AF_PACKET;
      address.sll_ifindex = static_cast<int>(if_nametoindex(device));
      need(::bind(socket.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0,
           "bind");
      sockets_[device == kTap ? 1 : 0] = std::move(socket);
    }
  }

  /// `rate` packets a second for `time`; 0: as fast as it goes. Returns how many were sent.
  std::uint64_t send(double rate, nanoseconds time) {
    std::uint64_t sent = 0;
    const auto start = monotonic_now();
    for (auto now = start; now - start < time; now = monotonic_now()) {
      const double due = rate * std::chrono::duration<double>(now - start).count();
      if (rate == 0 || static_cast<double>(sent) < due) {
        sent += burst();
      }
    }
    return sent;
  }

private:
  std::uint64_t burst() {
    std::array<std::array<iovec, kBurst>, 2> parts{};
    std::array<std::array<mmsghdr, kBurst>, 2> messages{};
    std::array<unsigned, 2> counts{};
    for (std::size_t i = 0; i < kBurst; ++i) {
      const Frame &frame = frames_.frames[next_];
      next_ = next_ + 1 < frames_.frames.size() ? next_ + 1 : 0;
      const std::size_t side = frame.from_guest ? 0 : 1;
      auto &part = parts[side][counts[side]];
      part.iov_base = const_cast<std::uint8_t *>(frames_.bytes.data() + frame.offset);
      part.iov_len = frame.size;
      auto &header = messages[side][counts[side]++].msg_hdr;
      header.msg_iov = &part;
      header.msg_iovlen = 1;
    }
    std::uint64_t sent = 0;
    for (std::size_t side = 0; side < 2; ++side) {
      const int done = ::sendmmsg(sockets_[side].get(), messages[side].data(), counts[side], 0);
      sent += done > 0 ? static_cast<std::uint64_t>(done) : 0;
    }
    return sent;
  }

  const Frames &frames_;
  std::array<Fd, 2> sockets_;
  std::size_t next_ = 0;
};

void stay_on(pid_t pid, unsigned processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  static_cast<void>(::sched_setaffinity(pid, sizeof set, &set));
}

// ---- Who receives ----------------------------------------------------------------------

void make_pair() {
  need(::unshare(CLONE_NEWNET) == 0, "a network namespace");
  std::ofstream("/proc/sys/net/ipv6/conf/all/disable_ipv6") << "1\n";
  std::ofstream("/proc/sys/net/ipv6/conf/default/disable_ipv6") << "1\n";
  const std::string pair =
      std::string("ip link add ") + kGuestSide + " type veth peer name " + kTap;
  const std::string up = std::string(" && ip link set ") + kGuestSide +
                         " arp off up && ip link set " + kTap + " arp off up";
  if (std::system((pair + up).c_str()) != 0) { // NOLINT(cert-env33-c,concurrency-mt-unsafe)
    give_up("no veth pair");
  }
}

class Guarded {
public:
  explicit Guarded(const char *image_path) : sensor_(started()) {
    const Fd image(::open(image_path, O_RDONLY | O_CLOEXEC));
    const int raw = image.get();
    check(sensor_.call(UseIntel{}, {&raw, 1}, kPatience));
    PacketRing ring;
    ring.interface = kTap;
    if (std::getenv("CAPTURE_KEEPS_NOTHING") == nullptr) { // as the supervisor does: 4 MiB
      ring.kept_bytes = 2U << 20U;
      ring.block_count += ring.kept_bytes / ring.block_size;
    }
    auto opened = hypervisor::open_packet_ring(hypervisor::open_own_namespace().value(), ring);
    if (!opened) {
      give_up(opened.error().message);
    }
    const std::array<int, 2> sockets{opened->socket.get(), opened->openings.get()};
    check(sensor_.call(OpenTap{opened->ring}, sockets, kPatience));
    std::ifstream children("/proc/self/task/" + std::to_string(getpid()) + "/children");
    children >> pid;
  }

  /// Once all that was sent has been looked at.
  CountersSeen counters() {
    std::uint64_t seen = UINT64_MAX;
    for (;;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      while (sensor_.next_event(std::chrono::milliseconds(0)).value_or(std::nullopt)) {
      }
      auto now = launch::get_counters(sensor_);
      if (!now) {
        give_up(now.error().message);
      }
      if (now->seen == seen) {
        return *now;
      }
      seen = now->seen;
    }
  }
  [[nodiscard]] std::int64_t processor_ns() const {
    std::int64_t ns = 0;
    std::ifstream("/proc/" + std::to_string(pid) + "/schedstat") >> ns;
    return ns;
  }
  pid_t pid = 0;

private:
  static launch::SensorProcess started() {
    auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
    if (!sensor) {
      give_up(sensor.error().message);
    }
    return std::move(*sensor);
  }
  static void check(const Result<Report> &answer) {
    if (!answer) {
      give_up(answer.error().message);
    }
  }
  launch::SensorProcess sensor_;
};

std::uint64_t named(const std::vector<NamedCount> &counts, std::string_view name) {
  const auto found = std::find_if(counts.begin(), counts.end(),
                                  [&](const NamedCount &count) { return count.name == name; });
  return found == counts.end() ? 0 : found->value;
}
std::uint64_t sum(const std::vector<NamedCount> &counts) {
  std::uint64_t all = 0;
  for (const auto &count : counts) {
    all += count.value;
  }
  return all;
}

struct Try {
  std::uint64_t sent = 0, seen = 0, processed = 0, lost = 0, dropped = 0;
  double rate = 0;      ///< packets a second that were sent
  double sensor_us = 0; ///< processor time a packet

  /// Every packet that was sent is in the account, once.
  [[nodiscard]] bool adds_up() const { return sent == seen && seen == processed + dropped; }
};

enum class Sensor : std::uint8_t { Runs, Stands };

/// `rate` of all senders together; a sensor that Stands does so for the middle half of the time.
Try attempt(Guarded &guarded, std::vector<Sender> &senders, double rate, nanoseconds time,
            Sensor sensor = Sensor::Runs) {
  const auto before = guarded.counters();
  const auto processor_before = guarded.processor_ns();
  std::atomic<std::uint64_t> sent = 0;
  std::vector<std::thread> threads;
  const auto start = monotonic_now();
  for (std::size_t i = 0; i < senders.size(); ++i) {
    threads.emplace_back([&, i] {
      stay_on(0, static_cast<unsigned>(i));
      sent += senders[i].send(rate / static_cast<double>(senders.size()), time);
    });
  }
  if (sensor == Sensor::Stands) {
    std::this_thread::sleep_for(time / 4);
    ::kill(guarded.pid, SIGSTOP);
    std::this_thread::sleep_for(time / 2);
    ::kill(guarded.pid, SIGCONT);
  }
  for (auto &thread : threads) {
    thread.join();
  }
  const auto took = std::chrono::duration<double>(monotonic_now() - start).count();
  const auto after = guarded.counters();
  Try one;
  one.sent = sent;
  one.seen = after.seen - before.seen;
  one.processed = after.processed - before.processed;
  one.dropped = sum(after.dropped) - sum(before.dropped);
  one.lost = named(after.dropped, "lost_in_kernel") - named(before.dropped, "lost_in_kernel");
  one.rate = static_cast<double>(one.sent) / took;
  one.sensor_us = static_cast<double>(guarded.processor_ns() - processor_before) / 1000 /
                  static_cast<double>(std::max<std::uint64_t>(one.processed, 1));
  return one;
}

void print(const char *name, const Try &one, const char *end) {
  std::printf(R"("%s": {"rate": %.0f, "sent": %llu, "seen": %llu, "processed": %llu, )"
              R"("lost_in_kernel": %llu, "dropped_otherwise": %llu, "sensor_us": %.3f, )"
              R"("adds_up": %s}%s)",
              name, one.rate, static_cast<unsigned long long>(one.sent),
              static_cast<unsigned long long>(one.seen),
              static_cast<unsigned long long>(one.processed),
              static_cast<unsigned long long>(one.lost),
              static_cast<unsigned long long>(one.dropped - one.lost), one.sensor_us,
              one.adds_up() ? "true" : "false", end);
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 3) {
    std::fputs("capture_bench IMAGE CAPTURE [SECONDS]\n", stderr);
    return 2;
  }
  const auto time = duration_cast<nanoseconds>(
      std::chrono::duration<double>(argc > 3 ? std::max(0.2, std::atof(argv[3])) : 2));
  const auto frames = read_frames(argv[2]);
  make_pair();
  Guarded guarded(argv[1]);
  const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
  stay_on(guarded.pid, processors - 1);
  std::vector<Sender> senders;
  for (unsigned i = 0; i < processors; ++i) {
    senders.emplace_back(frames);
  }

  const Try most = attempt(guarded, senders, 0, time);
  Try whole = most;
  for (double low = 0, high = most.rate; most.lost != 0 && high - low > most.rate / 50;) {
    const double rate = (low + high) / 2;
    const Try one = attempt(guarded, senders, rate, time);
    (one.lost == 0 ? low : high) = rate;
    whole = one.lost == 0 ? one : whole;
  }
  const Try twice = attempt(guarded, senders, 2 * whole.rate, time);
  const Try stalled = attempt(guarded, senders, whole.rate, time, Sensor::Stands);
  std::printf(R"({"senders": %u, "bound_by_senders": %s, )", processors,
              most.lost == 0 ? "true" : "false");
  print("without_loss", whole, ", ");
  print("twice", twice, ", ");
  print("stalled", stalled, "}\n");
  return 0;
}
