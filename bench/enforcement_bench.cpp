// What enforcement costs, in namespaces of its own: a veth pair stands for a tap, one end the
// guest's side. Bulk TCP through it without a filter and with 0, 1 and 10,000 rules that do not
// match, in turns; the program's time a packet (BPF_PROG_TEST_RUN); the time to add a rule. Needs
// root.
//
//   enforcement_bench [ROUNDS] [MILLISECONDS]      default 15 of 200 ms each
//
// Prints one JSON object.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bulk_tcp.h"
#include "respond/tc_filter.h"

namespace {

using namespace outguard;
using namespace outguard::respond;
using namespace outguard::bench;
using Clock = std::chrono::steady_clock;

constexpr unsigned kMany = 10'000;
constexpr std::chrono::hours kTtl{1};

/// Flows of other remotes than the bench's own.
NetworkRule rule(unsigned number) {
  const std::array<std::uint8_t, 4> local{10, 66, 0, 2};
  const std::array<std::uint8_t, 4> remote{198, 18, static_cast<std::uint8_t>(number >> 8),
                                           static_cast<std::uint8_t>(number)};
  return FlowRule{{6,
                   {IpAddress::v4(local), static_cast<std::uint16_t>(1024 + number)},
                   {IpAddress::v4(remote), 443}}};
}

double median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

/// Of an established flow's packet of 66 bytes, from the guest; least of several.
std::uint32_t program_ns(const Fd &program) {
  std::array<std::uint8_t, 66> frame{};
  constexpr std::array<std::uint8_t, 42> kHeaders{
      2, 0,  0, 0, 0, 1,  2,  0, 0, 0,  0,  2, 8, 0,    0x45, 0, 0,    52, 0, 0, 0,
      0, 64, 6, 0, 0, 10, 66, 0, 2, 10, 66, 0, 1, 0x80, 0,    0, 0x50, 0,  0, 0, 1};
  std::copy(kHeaders.begin(), kHeaders.end(), frame.begin());
  std::uint32_t least = ~0U;
  for (int i = 0; i < 9; ++i) {
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = frame.size();
    options.repeat = 200'000;
    need(::bpf_prog_test_run_opts(program.get(), &options) == 0, "BPF_PROG_TEST_RUN");
    need(static_cast<int>(options.retval) == -1, "a packet that passes");
    least = std::min(least, options.duration);
  }
  return least;
}

struct Mode {
  const char *name;
  FilterMechanism mechanism;
  unsigned rules;
  std::vector<double> bits{}, ratios{}, cpu_ratios{}; ///< ratios to none, measured right before
};

void set_up(const std::string &guest, const std::string &host) {
  const std::string in = "ip -n " + host + " ";
  const std::string commands =
      "ip netns add " + guest + " && ip netns add " + host + " && " + in +
      "link add tap0 type veth peer name eth0 netns " + guest + " && " + in +
      "addr add 10.66.0.1/24 dev tap0 && " + in + "link set tap0 up && ip -n " + guest +
      " addr add 10.66.0.2/24 dev eth0 && ip -n " + guest + " link set eth0 up";
  need(std::system(commands.c_str()) == 0, "make a veth pair");
}

double microseconds_each(TapFilter &filter, unsigned count) {
  const auto start = Clock::now();
  for (unsigned i = 0; i < count; ++i) {
    need(filter.add(rule(i), kTtl));
  }
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count() / count;
}

} // namespace

int main(int count, char **arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 15;
  const std::chrono::milliseconds time(count > 2 ? std::atoi(arguments[2]) : 200);
  need(::unshare(CLONE_NEWNS) == 0 &&
           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("bpf", kBpfFilesystem, "bpf", 0, nullptr) == 0,
       "mount a bpffs of its own");
  const std::string id = "ogeb" + std::to_string(::getpid());
  set_up(id + "g", id + "h");
  const auto netns_of = [](const std::string &name) {
    return Fd(::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  };
  const Fd guest = netns_of(id + "g");
  const Fd host = netns_of(id + "h");
  const auto filter_of = [&](FilterMechanism mechanism) {
    return need(open_tap_filter(host, "tap0", mechanism)).filter;
  };

  std::vector<double> without;
  std::array modes{Mode{"tc-bpf, 0 rules", FilterMechanism::TcBpf, 0},
                   Mode{"tc-bpf, 1 rule", FilterMechanism::TcBpf, 1},
                   Mode{"tc-bpf, 10,000 rules", FilterMechanism::TcBpf, kMany},
                   Mode{"nft-netdev, 1 rule", FilterMechanism::NftNetdev, 1}};
  for (int round = 0; round < rounds; ++round) {
    for (auto &mode : modes) {
      const auto none = throughput(guest, host, "10.66.0.1", time);
      const auto filter = filter_of(mode.mechanism);
      (void)microseconds_each(*filter, mode.rules);
      const auto with = throughput(guest, host, "10.66.0.1", time);
      need(filter->remove_all());
      without.push_back(none.bits_a_second);
      mode.bits.push_back(with.bits_a_second);
      mode.ratios.push_back(with.bits_a_second / none.bits_a_second);
      mode.cpu_ratios.push_back(with.bits_a_cpu_second / none.bits_a_cpu_second);
    }
  }

  const auto tc = filter_of(FilterMechanism::TcBpf);
  const auto &program = dynamic_cast<TcFilter &>(*tc).program()->programs()[0];
  const auto idle_ns = program_ns(program);
  need(tc->add(rule(0), kTtl));
  const auto one_ns = program_ns(program);
  const double tc_add_us = microseconds_each(*tc, kMany);
  const auto many_ns = program_ns(program);
  const IpNetwork network = *IpNetwork::parse("203.0.113.0/24");
  need(tc->add(RemoteRule{network}, kTtl));
  need(tc->add(PortRule{6, 22, RuleDirection::Inbound}, kTtl));
  need(tc->add(IsolationRule{{*IpNetwork::parse("10.0.0.0/8")}}, kTtl));
  const auto all_ns = program_ns(program);
  need(tc->remove_all());
  const auto nft = filter_of(FilterMechanism::NftNetdev);
  const double nft_add_us = microseconds_each(*nft, 500);
  need(nft->remove_all());
  need(std::system(("ip netns delete " + id + "g; ip netns delete " + id + "h").c_str()) == 0,
       "remove the namespaces");

  fmt::print(R"({{"none_gbit_s": {:.2f}, "throughput": [)", median(without) / 1e9);
  for (const auto &mode : modes) {
    fmt::print(R"({}{{"mode": "{}", "gbit_s": {:.2f}, "ratio": {:.3f}, "cpu_ratio": {:.3f}}})",
               &mode == &modes[0] ? "" : ", ", mode.name, median(mode.bits) / 1e9,
               median(mode.ratios), median(mode.cpu_ratios));
  }
  fmt::print("], \"program_ns\": {{\"no_rule\": {}, \"one_flow\": {}, \"flows_10000\": {}, "
             "\"every_kind\": {}}}, \"add_us\": {{\"tc_bpf\": {:.1f}, \"nft\": {:.1f}}}}}\n",
             idle_ns, one_ns, many_ns, all_ns, tc_add_us, nft_add_us);
  return 0;
}
