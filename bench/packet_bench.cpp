// What the packet path costs without a sink: made traffic through the pipeline in one thread.
// Prints one JSON object a kind of traffic; for instructions a packet, run it with one round under
// callgrind (`--toggle-collect='*run_once*'`).
//
//   packet_bench [ROUNDS [mixed|short]]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include "guest/packets/packet_pipeline.h"
#include "guest/testing/message_builder.h"
#include "guest/testing/packet_builder.h"

namespace {

using namespace outguard;
using namespace outguard::guest;

class CountingSink final : public PipelineSink {
public:
  void on_flow_started(Flow &) override { ++flows; }
  void on_observable(Flow &, const Observable &) override { ++observables; }
  void on_flow_ended(const Flow &, FlowEnd) override {}
  std::uint64_t flows = 0;
  std::uint64_t observables = 0;
};

Endpoint client_at(std::uint32_t number) {
  Endpoint client = endpoint("10.0.0.0:1024");
  client.address.bytes[1] = static_cast<std::uint8_t>(number >> 12);
  client.address.bytes[2] = static_cast<std::uint8_t>(number >> 4);
  client.port = static_cast<std::uint16_t>(1024 + number % 50000);
  return client;
}

/// `flows` connections, TLS and HTTP in equal parts, a DNS query before every fourth, and `data`
/// large packets each, interleaved as on a busy link.
std::vector<Bytes> connections(std::uint32_t flows, std::uint32_t data) {
  std::vector<Bytes> frames;
  const auto hello = client_hello({.server_name = "www.some-name.example", .key_share = 32});
  const auto request = http_request("www.some-name.example", "/index.html?of=this");
  const auto query = dns_query("www.some-name.example");
  const Bytes bulk(1400, 'x');
  std::vector<TcpTalk> talks;
  for (std::uint32_t i = 0; i < flows; ++i) {
    talks.emplace_back(client_at(i), endpoint("192.0.2.7:443"), i * 7919, i * 104729);
    if (i % 4 == 1) {
      frames.push_back(
          PacketBuilder(client_at(i), endpoint("192.0.2.53:53")).udp().payload(query).build());
    }
    frames.push_back(talks[i].syn());
  }
  for (auto &talk : talks) {
    frames.push_back(talk.syn_ack());
  }
  for (std::uint32_t i = 0; i < flows; ++i) {
    frames.push_back(talks[i].from_client(i % 2 == 0 ? hello : request));
  }
  for (std::uint32_t round = 0; round < data; ++round) {
    for (auto &talk : talks) {
      frames.push_back(talk.from_server(round == 0 ? server_hello() : bulk));
    }
  }
  return frames;
}

void run_once(std::span<const PacketView> views, PacketPipeline &pipeline)
    __attribute__((noinline));
void run_once(std::span<const PacketView> views, PacketPipeline &pipeline) {
  while (!views.empty()) {
    const auto batch = views.first(std::min<std::size_t>(PacketSource::kBatch, views.size()));
    pipeline.process(batch);
    views = views.subspan(batch.size());
  }
}

double processor_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void measure(const char *name, const std::vector<Bytes> &frames, int rounds) {
  std::vector<PacketView> views(frames.size());
  for (std::size_t i = 0; i < views.size(); ++i) {
    views[i].bytes = frames[i];
    views[i].original_length = static_cast<std::uint32_t>(frames[i].size());
    views[i].timestamp_ns = static_cast<std::int64_t>(i) * 1000;
  }
  double best = 1e18;
  CountingSink sink;
  for (int round = 0; round < rounds; ++round) {
    sink = {};
    PipelineConfig config;
    config.flows.max_flows = 1'000'000;
    PacketPipeline pipeline(config, sink);
    const double start = processor_ns();
    run_once(views, pipeline);
    best = std::min(best, processor_ns() - start);
  }
  std::printf(R"({"traffic": "%s", "packets": %zu, "flows": %llu, "observables": %llu, )"
              R"("ns_per_packet": %.1f})"
              "\n",
              name, views.size(), static_cast<unsigned long long>(sink.flows),
              static_cast<unsigned long long>(sink.observables),
              best / static_cast<double>(views.size()));
}

} // namespace

int main(int argc, char **argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 5;
  const std::string_view only = argc > 2 ? argv[2] : "";
  if (only.empty() || only == "mixed") {
    measure("mixed", connections(8000, 30), rounds);
  }
  if (only.empty() || only == "short") {
    measure("short", connections(50000, 1), rounds);
  }
}
