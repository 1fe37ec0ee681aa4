// Makes the traffic and the indicators of the detection benchmark: same seeds, same bytes.
// Says of each file what is in it, and which indicators its flows hit, as JSON lines.
//
//   make_traffic FOLDER mixed|short SHARE     FOLDER/mixed.pcap; SHARE of all flows, 1: all
//   make_traffic FOLDER indicators COUNT      FOLDER/indicators-COUNT.txt
//
// mixed: browsing and downloads, 75,000 flows of 33 packets; short: 300,000 flows of 9. Of both TLS
// 45 %, DNS 40 %, HTTP 10 %, others 5 %; one flow in seven is IPv6.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <string_view>

#include "guest/testing/packet_builder.h"
#include "made_flow.h"
#include "made_indicators.h"
#include "made_messages.h"

namespace {

using namespace outguard;
using namespace outguard::bench;

constexpr std::int64_t kStart = 1'755'799'217'000'000'000;
constexpr double kSeconds = 300; ///< in which flows begin
constexpr std::uint32_t kNames = 20'000;
constexpr std::uint32_t kServers = 30'000;
constexpr std::uint32_t kClients = 60; ///< addresses behind the guest, which routes for containers
/// Flows of each kind that hit: the same ones for every number of indicators.
constexpr std::uint32_t kHits = 60;

struct Kind {
  const char *name;
  std::uint32_t flows;
  double tls_bytes;        ///< median of what a TLS server sends
  double http_bytes;       ///< likewise
  double spread;           ///< of the logarithm
  std::uint32_t exchanges; ///< a connection, at most
  std::uint64_t seed;
};
constexpr Kind kKinds[] = {{"mixed", 75'000, 9'500, 9'500, 1.55, 4, 11},
                           {"short", 300'000, 2'300, 2'300, 1.0, 1, 12}};

class FlowMaker {
public:
  FlowMaker(const Kind &kind, std::uint32_t flows)
      : kind_(kind), flows_(flows), random_(kind.seed) {}

  MadeFlow make(std::uint32_t number) {
    MadeFlow flow;
    const bool v6 = random_() % 7 == 0;
    flow.client = client(number, v6);
    flow.server = {server(v6), 443};
    const auto share = number % 20; // kinds take turns, times and sizes are random
    if (share % 5 < 2) {
      dns(flow);
    } else if (share < 16) {
      tls(flow);
    } else if (share < 19) {
      share == 16 ? tls(flow) : http(flow);
    } else {
      something_else(flow);
    }
    return flow;
  }

  struct Hits {
    std::uint32_t dns = 0, tls = 0, http = 0, address = 0, url = 0;
  };
  [[nodiscard]] const Hits &hits() const { return hits_; }

private:
  /// No two flows have the same ends.
  [[nodiscard]] Endpoint client(std::uint32_t number, bool v6) const {
    Endpoint end;
    const auto host = static_cast<std::uint8_t>(1 + number % kClients);
    end.address =
        *IpAddress::parse(v6 ? "fd00::" + std::to_string(host) : "10.1.0." + std::to_string(host));
    end.port = static_cast<std::uint16_t>(20'000 + number / kClients);
    return end;
  }
  IpAddress server(bool v6) {
    const auto number = popular(kServers);
    return v6 ? *IpAddress::parse("2a00:1450:4001::" + std::to_string(number % 9999))
              : good_address(number);
  }
  /// Few are asked for often, many seldom.
  std::uint32_t popular(std::uint32_t count) {
    const double x = std::uniform_real_distribution<double>(0, 1)(random_);
    return static_cast<std::uint32_t>(std::pow(count, x)) % count;
  }
  std::string name() { return good_name(popular(kNames)); }
  std::uint32_t amount(double median) {
    const double bytes =
        std::lognormal_distribution<double>(std::log(median), kind_.spread)(random_);
    return static_cast<std::uint32_t>(std::min(bytes, 6e6)) + 1;
  }
  /// True for kHits of the flows of a kind of which there are `share` of all, from the first on.
  bool hit(std::uint32_t &done, double share) {
    const auto due = std::max(1.0, flows_ * share / (kHits + 1));
    const bool now = done < kHits && static_cast<double>(random_() % 1'000'000) / 1e6 < 2 / due;
    done += now ? 1 : 0;
    return now;
  }

  void dns(MadeFlow &flow) {
    flow.protocol = 17;
    flow.server = {
        *IpAddress::parse(flow.client.address.family == IpFamily::V6 ? "fd00::fe" : "10.1.0.254"),
        53};
    const bool bad = hit(hits_.dns, 0.4);
    const auto asked = bad ? listed_domain(hits_.dns - 1) : name();
    const auto id = static_cast<std::uint16_t>(random_());
    const std::uint16_t type = random_() % 3 == 0 ? 28 : 1;
    std::vector<IpAddress> addresses(1 + random_() % 4);
    std::generate(addresses.begin(), addresses.end(), [&] { return server(type == 28); });
    datagram(flow, Sender::Client, dns_question(asked, id, type), 0);
    datagram(flow, Sender::Server,
             dns_reply(asked, id, type, static_cast<std::uint32_t>(random_() % 3), addresses),
             2'000'000 + static_cast<std::int64_t>(random_() % 30'000'000));
  }

  void tls(MadeFlow &flow) {
    const bool v4 = flow.server.address.family == IpFamily::V4;
    if (v4 && hit(hits_.address, 0.39)) {
      flow.server.address = listed_address(hits_.address - 1);
    }
    const bool bad = hit(hits_.tls, 0.45);
    const auto server_name = bad ? listed_domain(kHits + hits_.tls - 1) : name();
    const auto program = static_cast<std::uint32_t>(random_() % 4);
    Connection connection(flow, random_);
    connection.open();
    const auto number = static_cast<std::uint32_t>(random_() % 512);
    connection.send(Sender::Client,
                    tls_client_hello(server_name, program, static_cast<std::uint32_t>(random_())));
    connection.send(Sender::Server, random_() % 10 < 7 ? tls13_server_flight(number)
                                                       : tls12_server_flight(server_name, number));
    encrypted(connection, Sender::Client, 64);
    const auto answers = 1 + random_() % kind_.exchanges;
    for (std::uint64_t i = 0; i < answers; ++i) {
      encrypted(connection, Sender::Client, 90 + static_cast<std::uint32_t>(random_() % 400));
      encrypted(connection, Sender::Server, amount(kind_.tls_bytes / 2));
    }
    connection.close();
    connection.disturb();
  }

  static void encrypted(Connection &connection, Sender sender, std::uint32_t bytes) {
    constexpr std::uint32_t kMostRecord = 16 * 1024;
    while (bytes > 0) {
      const auto here = std::min(bytes, kMostRecord);
      connection.send(sender, tls_data_header(here), here);
      bytes -= here;
    }
  }

  void http(MadeFlow &flow) {
    flow.server.port = 80;
    const bool bad = hit(hits_.http, 0.1);
    const bool bad_url = !bad && hit(hits_.url, 0.1);
    const auto url = bad_url ? hits_.url - 1 : 0;
    const auto host = bad       ? listed_domain(2 * kHits + hits_.http - 1)
                      : bad_url ? listed_url_host(url)
                                : name();
    const auto browser = static_cast<std::uint32_t>(random_());
    Connection connection(flow, random_);
    connection.open();
    const auto requests = 1 + random_() % kind_.exchanges;
    for (std::uint64_t i = 0; i < requests; ++i) {
      const auto path = bad_url && i == 0 ? listed_url_path(url)
                                          : "/assets/" + std::to_string(random_() % 100'000) +
                                                "/page.html?v=" + std::to_string(random_() % 1000);
      connection.send(Sender::Client, http_get(host, path, browser));
      const auto body = amount(kind_.http_bytes / 2);
      connection.send(Sender::Server, http_answer_head(body), body);
    }
    connection.close();
    connection.disturb();
  }

  void something_else(MadeFlow &flow) {
    const auto which = random_() % 3;
    if (which == 0) { // NTP
      flow.protocol = 17;
      flow.server.port = 123;
      Bytes time(48, 0);
      time[0] = 0x23;
      datagram(flow, Sender::Client, time, 0);
      time[0] = 0x24;
      datagram(flow, Sender::Server, time, 20'000'000);
      return;
    }
    Connection connection(flow, random_);
    connection.open();
    if (which == 1) {
      flow.server.port = 22;
      for (const auto sender : {Sender::Client, Sender::Server}) {
        constexpr std::string_view kBanner = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u5\r\n";
        connection.send(sender, Bytes(kBanner.begin(), kBanner.end()));
      }
    } else {
      flow.server.port = 8009;
    }
    for (std::uint32_t i = 0; i < 6; ++i) {
      connection.send(i % 2 == 0 ? Sender::Client : Sender::Server, {0xfe, 1, 2},
                      100 + static_cast<std::uint32_t>(random_() % 900));
    }
    connection.close();
  }

  static void datagram(MadeFlow &flow, Sender sender, Bytes bytes, std::int64_t wait_ns) {
    Packet packet;
    packet.sender = sender;
    packet.begin = std::move(bytes);
    packet.wait_ns = wait_ns;
    flow.packets.push_back(std::move(packet));
  }

  const Kind &kind_;
  std::uint32_t flows_;
  Random random_;
  Hits hits_;
};

class PcapWriter {
public:
  explicit PcapWriter(const std::string &path) : file_(std::fopen(path.c_str(), "wb")) {
    if (file_ == nullptr) {
      std::perror(path.c_str());
      std::exit(1);
    }
    put<std::uint32_t>({0xa1b23c4d, 0x00040002, 0, 0, 262144, 1}); // nanoseconds, Ethernet
  }
  ~PcapWriter() { std::fclose(file_); }
  PcapWriter(const PcapWriter &) = delete;
  PcapWriter &operator=(const PcapWriter &) = delete;

  void add(std::int64_t time_ns, const Bytes &frame) {
    const auto size = static_cast<std::uint32_t>(frame.size());
    put<std::uint32_t>({static_cast<std::uint32_t>(time_ns / 1'000'000'000),
                        static_cast<std::uint32_t>(time_ns % 1'000'000'000), size, size});
    std::fwrite(frame.data(), 1, frame.size(), file_);
    ++packets;
    bytes += frame.size();
  }
  std::uint64_t packets = 0, bytes = 0;

private:
  template <class T> void put(std::initializer_list<T> values) {
    std::fwrite(values.begin(), sizeof(T), values.size(), file_);
  }
  std::FILE *file_;
};

Bytes frame_of(const MadeFlow &flow, const Packet &packet, const Bytes &noise) {
  const bool out = packet.sender == Sender::Client;
  guest::PacketBuilder builder(out ? flow.client : flow.server, out ? flow.server : flow.client);
  if (!out) {
    builder.macs({0x52, 0x54, 0, 0, 0, 2}, {0x52, 0x54, 0, 0, 0, 1});
  }
  Bytes payload = packet.begin;
  payload.insert(payload.end(), noise.begin(), noise.begin() + packet.noise);
  if (flow.protocol == 17) {
    return builder.udp().payload(std::move(payload)).build();
  }
  builder.tcp(packet.flags, packet.sequence, packet.acknowledgment);
  if ((packet.flags & 2) != 0) {
    builder.tcp_options({2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7});
  } else {
    builder.tcp_options({1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8});
  }
  return builder.payload(std::move(payload)).build();
}

void write_traffic(const std::string &folder, const Kind &kind, double share) {
  const auto flows = static_cast<std::uint32_t>(kind.flows * share);
  FlowMaker maker(kind, flows);
  PcapWriter file(folder + "/" + kind.name + ".pcap");
  Random random(kind.seed + 100);
  Bytes noise(2048);
  std::generate(noise.begin(), noise.end(), [&] { return static_cast<std::uint8_t>(random()); });

  struct Playing {
    MadeFlow flow;
    std::size_t next = 0;
  };
  using Turn = std::pair<std::int64_t, std::uint32_t>; // time, flow
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
  std::vector<std::unique_ptr<Playing>> playing(flows);
  for (std::uint32_t i = 0; i < flows; ++i) {
    const double at = std::uniform_real_distribution<double>(0, kSeconds * share)(random);
    turns.push({kStart + static_cast<std::int64_t>(at * 1e9), i});
  }
  while (!turns.empty()) {
    const auto [time, number] = turns.top();
    turns.pop();
    auto &one = playing[number];
    if (one == nullptr) {
      one = std::make_unique<Playing>(Playing{maker.make(number), 0});
    }
    file.add(time, frame_of(one->flow, one->flow.packets[one->next], noise));
    if (++one->next < one->flow.packets.size()) {
      turns.push({time + one->flow.packets[one->next].wait_ns, number});
    } else {
      one.reset();
    }
  }
  const auto &hits = maker.hits();
  std::printf(R"({"traffic": "%s", "packets": %llu, "bytes_each": %.0f, "flows": %u, )"
              R"("hits": {"dns": %u, "tls": %u, "http": %u, "address": %u, "url": %u}})"
              "\n",
              kind.name, static_cast<unsigned long long>(file.packets),
              static_cast<double>(file.bytes) / static_cast<double>(file.packets), flows, hits.dns,
              hits.tls, hits.http, hits.address, hits.url);
}

int write_indicators(const std::string &folder, std::uint32_t count) {
  const auto path = folder + "/indicators-" + std::to_string(count) + ".txt";
  std::FILE *file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) {
    std::perror(path.c_str());
    return 1;
  }
  const auto list = indicator_list(count);
  std::fwrite(list.data(), 1, list.size(), file);
  std::fclose(file);
  std::printf("{\"indicators\": %u, \"file\": \"%s\"}\n", count, path.c_str());
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 4) {
    std::fputs("make_traffic FOLDER mixed|short SHARE, or FOLDER indicators COUNT\n", stderr);
    return 2;
  }
  const std::string_view what = argv[2];
  if (what == "indicators") {
    return write_indicators(argv[1], static_cast<std::uint32_t>(std::atoi(argv[3])));
  }
  for (const Kind &kind : kKinds) {
    if (what == kind.name) {
      write_traffic(argv[1], kind, std::clamp(std::atof(argv[3]), 0.001, 1.0));
      return 0;
    }
  }
  std::fprintf(stderr, "make_traffic: no such traffic: %s\n", argv[2]);
  return 2;
}
