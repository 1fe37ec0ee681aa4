// The cost of the packet path, printed; what is checked is that the fast way sees everything.
#include <chrono>
#include <cstdio>

#include "guest/packets/pipeline_test_fixture.h"
#include "guest/protocols/recording_test_sink.h"

namespace outguard::guest {
namespace {

class CountingSink final : public PipelineSink {
public:
  CountingSink() { want(usually_recorded()); }
  void on_flow_started(Flow &) override { ++flows; }
  void on_observable(Flow &, const Observable &) override { ++observables; }
  void on_flow_ended(const Flow &, FlowEnd) override {}
  std::uint64_t flows = 0;
  std::uint64_t observables = 0;
};

struct Traffic {
  std::vector<Bytes> frames;
  std::uint64_t observables = 0;
};

/// `flows` connections, one half TLS, the other DNS and HTTP, `data` large packets each,
/// interleaved as on a busy link: the packets of one flow are far apart.
Traffic mixed(std::uint32_t flows, std::uint32_t data) {
  Traffic traffic;
  const auto hello = client_hello({.server_name = "www.some-name.example", .key_share = 32});
  const auto request = http_request("www.some-name.example", "/index.html?of=this");
  const auto query = dns_query("www.some-name.example");
  const Bytes bulk(1400, 'x');
  std::vector<TcpTalk> talks;
  for (std::uint32_t i = 0; i < flows; ++i) {
    Endpoint client = endpoint("10.0.0.0:1024");
    client.address.bytes[1] = static_cast<std::uint8_t>(i >> 12);
    client.address.bytes[2] = static_cast<std::uint8_t>(i >> 4);
    client.port = static_cast<std::uint16_t>(1024 + i % 50000);
    talks.emplace_back(client, endpoint("192.0.2.7:443"), i * 7919, i * 104729);
    if (i % 4 == 1) {
      const auto resolver = endpoint("192.0.2.53:53");
      traffic.frames.push_back(PacketBuilder(client, resolver).udp().payload(query).build());
      ++traffic.observables;
    }
    traffic.frames.push_back(talks[i].syn());
  }
  for (auto &talk : talks) {
    traffic.frames.push_back(talk.syn_ack());
  }
  for (std::uint32_t i = 0; i < flows; ++i) {
    traffic.frames.push_back(talks[i].from_client(i % 2 == 0 ? hello : request));
    traffic.observables += i % 2 == 0 ? 4U : 3U;
  }
  for (std::uint32_t round = 0; round < data; ++round) {
    for (auto &talk : talks) {
      traffic.frames.push_back(talk.from_server(round == 0 ? server_hello() : bulk));
    }
  }
  return traffic;
}

void measure(const char *name, const Traffic &traffic) {
  std::vector<PacketView> views(traffic.frames.size());
  for (std::size_t i = 0; i < views.size(); ++i) {
    views[i].bytes = traffic.frames[i];
    views[i].original_length = static_cast<std::uint32_t>(traffic.frames[i].size());
    views[i].timestamp_ns = static_cast<std::int64_t>(i) * 1000;
  }
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    CountingSink sink;
    PipelineConfig config;
    config.flows.max_flows = 1'000'000;
    PacketPipeline pipeline(config, sink);
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t at = 0; at < views.size(); at += PacketSource::kBatch) {
      pipeline.process(std::span(views).subspan(
          at, std::min<std::size_t>(PacketSource::kBatch, views.size() - at)));
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / static_cast<double>(views.size()));
    EXPECT_EQ(sink.observables, traffic.observables);
    EXPECT_EQ(pipeline.counters().packets.processed, views.size());
  }
  std::printf("%-28s %8zu packets  %6.1f ns/packet\n", name, views.size(), best);
}

TEST(PipelineSpeed, MixedTraffic) {
  measure("few flows, long", mixed(100, 200));
  measure("many flows, medium", mixed(3000, 12));
  measure("many flows, handshakes", mixed(8000, 1));
}

} // namespace
} // namespace outguard::guest
