#include "respond/hold_gate.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "hypervisor/network_namespace.h"

namespace outguard::respond {

namespace {

constexpr int kReceiveMark = 75;     // SO_RCVMARK, Linux 5.19
constexpr int kQueueBytes = 2 << 20; // the kernel doubles it: 1,024 packets of one segment
constexpr int kSendBytes = 1 << 20;
constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kShortestBound = 50'000'000, kLongestBound = 60 * kSecond;
constexpr std::uint64_t kLongestLife = 30 * 24 * 3600 * kSecond;

static_assert(tap::kHoldMarks == kHeldMark && tap::kReleasedMarks == kReleasedMark);

std::uint32_t answer_mark(HoldWay way, HoldVerdict verdict) {
  return static_cast<std::uint32_t>(tap::kAnswerMarks) | static_cast<std::uint32_t>(way) |
         static_cast<std::uint32_t>(verdict) << 1;
}

Result<void> set_option(const Fd &socket, int level, int name, const void *value, std::size_t size,
                        const char *what) {
  return ::setsockopt(socket.get(), level, name, value, static_cast<socklen_t>(size)) == 0
             ? Result<void>()
             : fail(errno == ENOPROTOOPT ? ErrorCode::Unsupported : ErrorCode::SystemFailed,
                    std::string(what) + ": " + std::strerror(errno));
}
Result<void> turn_on(const Fd &socket, int level, int name, const char *what) {
  const int on = 1;
  return set_option(socket, level, name, &on, sizeof on, what);
}

Result<Fd> plain_packet_socket() {
  Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); // receives nothing yet
  if (!socket) {
    return fail_errno("packet socket");
  }
  if (auto on = turn_on(socket, SOL_PACKET, PACKET_VNET_HDR, "PACKET_VNET_HDR"); !on) {
    return tl::unexpected(on.error());
  }
  return socket;
}

Result<void> bind_to(const Fd &socket, const std::string &device, int protocol) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(static_cast<std::uint16_t>(protocol));
  address.sll_ifindex = static_cast<int>(::if_nametoindex(device.c_str()));
  return address.sll_ifindex != 0 &&
                 ::bind(socket.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0
             ? Result<void>()
             : Result<void>(fail_errno("bind to " + device));
}

Result<Fd> receive_socket(const std::string &device, std::uint64_t bound_ns) {
  auto made = plain_packet_socket();
  if (!made) {
    return made;
  }
  const auto wait = bound_ns / 5 / 1000;
  const timeval timeout{static_cast<time_t>(wait / 1'000'000),
                        static_cast<suseconds_t>(wait % 1'000'000)};
  auto done = turn_on(*made, SOL_PACKET, PACKET_AUXDATA, "PACKET_AUXDATA");
  done = done ? turn_on(*made, SOL_PACKET, PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING") : done;
  done = done ? turn_on(*made, SOL_SOCKET, kReceiveMark, "SO_RCVMARK (Linux 5.19)") : done;
  done = done ? set_option(*made, SOL_SOCKET, SO_RCVBUFFORCE, &kQueueBytes, sizeof kQueueBytes,
                           "SO_RCVBUFFORCE")
              : done;
  done = done ? set_option(*made, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout, "SO_RCVTIMEO")
              : done;
  done = done ? bind_to(*made, device, ETH_P_ALL) : done;
  return done ? std::move(made) : tl::unexpected(done.error());
}

Result<Fd> answer_socket(const std::string &device, std::uint32_t mark) {
  auto made = plain_packet_socket();
  if (!made) {
    return made;
  }
  auto done = set_option(*made, SOL_SOCKET, SO_MARK, &mark, sizeof mark, "SO_MARK");
  done = done ? set_option(*made, SOL_SOCKET, SO_SNDBUFFORCE, &kSendBytes, sizeof kSendBytes,
                           "SO_SNDBUFFORCE")
              : done;
  done = done ? bind_to(*made, device, 0) : done;
  return done ? std::move(made) : tl::unexpected(done.error());
}

} // namespace

Result<void> check_hold_settings(const HoldSettings &settings) {
  if (settings.bound_ns < kShortestBound || settings.bound_ns > kLongestBound) {
    return fail(ErrorCode::InvalidInput, "a judge's bound is 50 ms to 60 s");
  }
  for (const auto life : {settings.allow_tcp_ns, settings.allow_other_ns, settings.refuse_ns}) {
    if (life == 0 || life > kLongestLife) {
      return fail(ErrorCode::InvalidInput, "a verdict lasts some time, and at most 30 days");
    }
  }
  return {};
}

Result<HoldGate> HoldGate::open(const Fd &netns, const std::string &tap,
                                const HoldSettings &settings, TapHook hook,
                                const std::string &bpffs) {
  if (auto checked = check_hold_settings(settings); !checked) {
    return tl::unexpected(checked.error());
  }
  auto program = HoldProgram::attach(netns, tap, hook, bpffs);
  if (!program) {
    return tl::unexpected(program.error());
  }
  HoldGate gate(std::move(*program), settings.bound_ns);
  if (auto set = gate.set(settings); !set) {
    return tl::unexpected(set.error());
  }
  return gate;
}

std::optional<std::string> HoldGate::why_not(const std::string &bpffs) {
  if (const auto loads = HoldProgram::probe(bpffs); !loads) {
    return loads.error().message;
  }
  const auto socket = plain_packet_socket();
  if (!socket) {
    return socket.error().message;
  }
  const auto marks = turn_on(*socket, SOL_SOCKET, kReceiveMark, "SO_RCVMARK (Linux 5.19)");
  return marks ? std::nullopt : std::optional(marks.error().message);
}

Result<std::array<Fd, kHoldDescriptors>> HoldGate::judge_descriptors() const {
  using All = std::array<Fd, kHoldDescriptors>;
  return hypervisor::in_namespace(program_.netns(), [&]() -> Result<All> {
    All all;
    const std::string device = program_.judge_device();
    auto receive = receive_socket(device, bound_ns_);
    if (!receive) {
      return tl::unexpected(receive.error());
    }
    all[kHoldReceive] = std::move(*receive);
    all[kHoldPulse] = Fd(::fcntl(program_.maps().pulse.get(), F_DUPFD_CLOEXEC, 0));
    if (!all[kHoldPulse]) {
      return fail_errno("keep the judge's pulse");
    }
    for (const auto way : {HoldWay::FromGuest, HoldWay::ToGuest}) {
      for (std::size_t i = 0; i < kHoldVerdicts; ++i) {
        const auto verdict = static_cast<HoldVerdict>(i);
        auto answer = answer_socket(device, answer_mark(way, verdict));
        if (!answer) {
          return tl::unexpected(answer.error());
        }
        all.at(answer_descriptor(way, verdict)) = std::move(*answer);
      }
    }
    return all;
  });
}

Result<void> HoldGate::set(const HoldSettings &settings) {
  if (auto checked = check_hold_settings(settings); !checked) {
    return checked;
  }
  auto known = program_.maps().settings.get(0);
  if (!known || !*known) {
    return known ? fail(ErrorCode::SystemFailed, "the gate's settings are gone")
                 : Result<void>(tl::unexpected(known.error()));
  }
  auto &now = **known;
  now.ways = (settings.from_guest ? 1U : 0U) | (settings.to_guest ? 2U : 0U);
  now.fails_open = settings.fail_open ? 1 : 0;
  now.bound = bound_ns_ = settings.bound_ns;
  now.allow_tcp = settings.allow_tcp_ns;
  now.allow_other = settings.allow_other_ns;
  now.refuse = settings.refuse_ns;
  return program_.maps().settings.set(0, now);
}

Result<void> HoldGate::forget_verdicts() {
  auto known = program_.maps().settings.get(0);
  if (!known || !*known) {
    return known ? fail(ErrorCode::SystemFailed, "the gate's settings are gone")
                 : Result<void>(tl::unexpected(known.error()));
  }
  ++(*known)->generation;
  return program_.maps().settings.set(0, **known);
}

Result<HoldCounts> HoldGate::counts() const {
  const int cpus = ::libbpf_num_possible_cpus();
  if (cpus <= 0) {
    return fail(ErrorCode::SystemFailed, "the number of CPUs is not known");
  }
  std::vector<std::uint64_t> one_a_cpu(static_cast<std::size_t>(cpus));
  std::array<std::uint64_t, tap::kHoldCountKinds> sums{};
  for (std::uint32_t kind = 0; kind < sums.size(); ++kind) {
    if (auto read = read_map(program_.maps().counts, &kind, one_a_cpu.data()); !read) {
      return tl::unexpected(read.error());
    }
    for (const auto count : one_a_cpu) {
      sums.at(kind) += count;
    }
  }
  using namespace tap;
  return HoldCounts{.held = sums[kHoldHeld],
                    .allowed = sums[kHoldAllowed],
                    .refused = sums[kHoldRefused],
                    .refused_after = sums[kHoldRefusedAfter],
                    .dead_open = sums[kHoldDeadOpen],
                    .dead_closed = sums[kHoldDeadClosed],
                    .full_open = sums[kHoldFullOpen],
                    .full_closed = sums[kHoldFullClosed],
                    .crowded = sums[kHoldCrowded],
                    .unreadable = sums[kHoldUnreadable],
                    .astray = sums[kHoldAstray],
                    .forged = sums[kHoldForged]};
}

Result<bool> HoldGate::has_judge() const {
  HoldPulse pulse;
  const std::uint32_t zero = 0;
  if (auto read = read_map(program_.maps().pulse, &zero, &pulse); !read) {
    return tl::unexpected(read.error());
  }
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now); // as the program reads it
  const auto now_ns =
      static_cast<std::uint64_t>(now.tv_sec) * kSecond + static_cast<std::uint64_t>(now.tv_nsec);
  return static_cast<std::int64_t>(now_ns - pulse.beat_ns) < static_cast<std::int64_t>(bound_ns_);
}

} // namespace outguard::respond
