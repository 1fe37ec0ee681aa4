// A sequence of packets: each a control byte, a length of two bytes, and that many bytes. The
// control byte says whether they are a frame, or the payload of a TCP segment whose sequence number
// two more bytes give, or of a datagram, or a part of one or of what a tunnel carries; so that the
// fuzzer reaches reassembly without guessing headers. The first control byte also says whether the
// limits are those of the product, or so low that a few packets reach them.
#include <cstdlib>

#include "guest/bytes/byte_cursor.h"
#include "guest/packets/packet_pipeline.h"
#include "guest/protocols/tls_test_builder.h"
#include "guest/testing/message_builder.h"
#include "guest/testing/scan_clock.h"
#include "guest/testing/wrapping_builder.h"

using namespace outguard::guest;

namespace {

enum class Control : std::uint8_t { Frame, Client, Server, Datagram, Expire, Part, Part6, Tunnel };
constexpr std::uint8_t kControls = 8;
constexpr std::uint8_t kRealLimits = 0x80;

ScanClock &the_clock() {
  static ScanClock clock;
  return clock;
}

class CheckingSink final : public PipelineSink {
public:
  void on_flow_started(Flow &flow) override {
    flow.user = flow.id;
    ++live_;
  }
  void on_observable(Flow &flow, const Observable &observable) override {
    if (flow.user != flow.id || observable.text.empty() != (observable.address != nullptr)) {
      std::abort();
    }
  }
  void on_flow_ended(const Flow &flow, FlowEnd) override {
    if (flow.user != flow.id || live_-- == 0) {
      std::abort();
    }
  }

private:
  std::uint64_t live_ = 0;
};

void add_packet(Bytes &seed, Control control, std::uint16_t sequence, const Bytes &bytes) {
  seed.push_back(static_cast<std::uint8_t>(control));
  seed.push_back(static_cast<std::uint8_t>(bytes.size() >> 8));
  seed.push_back(static_cast<std::uint8_t>(bytes.size()));
  seed.push_back(static_cast<std::uint8_t>(sequence >> 8));
  seed.push_back(static_cast<std::uint8_t>(sequence));
  seed.insert(seed.end(), bytes.begin(), bytes.end());
}

/// What a peer does who wants the same bytes to be looked at again and again.
Bytes in_small_pieces(const Bytes &bytes, std::size_t piece) {
  Bytes seed;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const auto end = std::min(at + piece, bytes.size());
    add_packet(seed, Control::Client, static_cast<std::uint16_t>(at),
               {bytes.begin() + static_cast<std::ptrdiff_t>(at),
                bytes.begin() + static_cast<std::ptrdiff_t>(end)});
  }
  seed[0] |= kRealLimits;
  return seed;
}

/// As many parts as may wait, the last first.
Bytes in_reverse(Control control, std::size_t parts, std::uint16_t step, std::uint16_t flags) {
  Bytes seed;
  for (std::size_t part = parts; part > 0; --part) {
    add_packet(seed, control, static_cast<std::uint16_t>(part * step | flags), Bytes(8, 7));
  }
  seed[0] |= kRealLimits;
  return seed;
}

PipelineConfig low_limits() {
  PipelineConfig config;
  config.flows.max_flows = 8;
  config.streams = {
      .buffer_bytes = 512, .waiting_bytes = 400, .waiting_segments = 4, .total_bytes = 2000};
  config.fragments = {.packets = 4, .packets_of_pair = 2, .parts = 6, .total_bytes = 2000};
  return config;
}

bool balanced(const PacketCounters &counters) {
  return counters.seen == counters.processed + counters.dropped_total();
}

void check(const PipelineCounters &counters, const PipelineConfig &limits, std::uint64_t fed) {
  const auto &fragments = counters.fragments;
  if (!balanced(counters.packets) || !balanced(counters.inside) ||
      counters.streams.bytes_held > limits.streams.total_bytes || counters.packets.seen > fed ||
      counters.packets.seen + fragments.waiting < fed ||
      fragments.bytes_held > limits.fragments.total_bytes ||
      fragments.packets > limits.fragments.packets) {
    std::abort();
  }
}

} // namespace

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  const auto hello = client_hello({.server_name = "a.example", .record_size = 60});
  const auto post = http_request("b.example:81", "/x", "POST", "0123456789");
  Bytes ordered;
  Bytes shuffled;
  add_packet(ordered, Control::Frame, 0,
             TcpTalk(endpoint("10.0.0.1:1"), endpoint("10.0.0.2:2")).syn());
  for (std::uint16_t at = 0; at + 40U < hello.size(); at = static_cast<std::uint16_t>(at + 40)) {
    const Bytes part(hello.begin() + at, hello.begin() + at + 40);
    add_packet(ordered, Control::Client, at, part);
    add_packet(shuffled, Control::Client, static_cast<std::uint16_t>(at ^ 40), part);
  }
  Bytes others;
  add_packet(others, Control::Datagram, 0, dns_query("c.example"));
  add_packet(others, Control::Datagram, 0, dns_answer("c.example", "192.0.2.7"));
  add_packet(others, Control::Server, 0, bytes_of("HTTP/1.1 200 OK\r\n\r\n"));
  add_packet(others, Control::Client, 0, post);
  add_packet(others, Control::Expire, 0, {});
  add_packet(others, Control::Client, static_cast<std::uint16_t>(post.size()), post);
  Bytes parts;
  Bytes tunnels;
  const auto ip = PacketBuilder(endpoint("10.0.0.1:1"), endpoint("10.0.0.2:2"))
                      .udp()
                      .payload(dns_query("parts.example"))
                      .build();
  for (std::uint16_t at = 0; at + 34U < ip.size(); at = static_cast<std::uint16_t>(at + 16)) {
    const std::size_t end = std::min<std::size_t>(ip.size(), at + 34U + 16);
    const auto more = static_cast<std::uint16_t>(end < ip.size() ? 0x100 : 0);
    const auto place = static_cast<std::uint16_t>(at / 8 | more);
    const Bytes part(ip.begin() + at + 34, ip.begin() + static_cast<std::ptrdiff_t>(end));
    add_packet(parts, Control::Part, place, part);
    add_packet(parts, Control::Part6, place, part);
    const auto wrapped = fragment_of(ip, at, end - 34);
    add_packet(tunnels, Control::Tunnel, 0x0800, {wrapped.begin() + 14, wrapped.end()});
  }
  add_packet(tunnels, Control::Tunnel, 0x6558, ip);
  const auto large_hello = client_hello({.server_name = "a.example", .key_share = 9000});
  const auto head =
      bytes_of("GET /" + std::string(8000, 'x') + " HTTP/1.1\r\nHost: a.example\r\n\r\n");
  return {ordered,
          shuffled,
          others,
          parts,
          tunnels,
          in_small_pieces(large_hello, 50),
          in_small_pieces(head, 50),
          in_small_pieces(bytes_of("EHLO a\r\nMAIL FROM:<" + std::string(4000, 'x')), 20),
          in_small_pieces(in_records(server_messages({Bytes(9000, 5)}), 100), 50),
          in_small_pieces(over_tcp(Bytes(12000, 1)), 50),
          in_reverse(Control::Client, 40, 900, 0),
          in_reverse(Control::Part, 128, 1, 0x100)};
}

std::map<std::string, std::uint64_t> take_scan_times();
std::map<std::string, std::uint64_t> take_scan_times() {
  return the_clock().take();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  auto config = size > 0 && (data[0] & kRealLimits) != 0 ? PipelineConfig{} : low_limits();
  config.flows.seed = HashSeed{1, 2};
  std::uint64_t fed = 0;
  CheckingSink sink;
  PacketPipeline pipeline(config, sink);
  const auto client = endpoint("10.0.0.1:40000");
  const auto server = endpoint("10.0.0.2:53");
  const auto client6 = endpoint("[2001:db8::1]:40000");
  const auto server6 = endpoint("[2001:db8::2]:53");
  PacketView view;
  ByteCursor cursor({data, size});
  for (;;) {
    const auto control = cursor.u8();
    const auto length = cursor.be16();
    const auto sequence = cursor.be16();
    if (!control || !length || !sequence) {
      break;
    }
    const auto raw = *cursor.take(std::min<std::size_t>(*length, cursor.remaining()));
    Bytes bytes(raw.begin(), raw.end());
    switch (static_cast<Control>(*control % kControls)) {
    case Control::Client:
      bytes = PacketBuilder(client, server).tcp(16, *sequence).payload(bytes).build();
      break;
    case Control::Server:
      bytes = PacketBuilder(server, client).tcp(16, *sequence).payload(bytes).build();
      break;
    case Control::Datagram:
      bytes = PacketBuilder(client, server).udp().payload(bytes).build();
      break;
    case Control::Part:
      bytes = PacketBuilder(client, server)
                  .protocol(17)
                  .payload(bytes)
                  .ipv4_fragment(static_cast<std::uint16_t>((*sequence & 0xff) * 8),
                                 (*sequence & 0x100) != 0)
                  .build();
      break;
    case Control::Part6:
      bytes =
          PacketBuilder(client6, server6)
              .protocol(17)
              .payload(bytes)
              .extension(44,
                         {static_cast<std::uint8_t>(*sequence >> 5 & 7),
                          static_cast<std::uint8_t>((*sequence & 0x1f) << 3 | (*sequence >> 8 & 1)),
                          0, 0, 0, 7})
              .build();
      break;
    case Control::Tunnel:
      bytes = in_gre(client, server, 0, *sequence, bytes);
      break;
    case Control::Expire:
      view.timestamp_ns += 5'000'000'000;
      the_clock().time("expire", [&] { return pipeline.expire(view.timestamp_ns), 0; });
      break;
    case Control::Frame:
      break;
    }
    view.bytes = bytes;
    view.original_length = static_cast<std::uint32_t>(bytes.size());
    view.timestamp_ns += 1'000'000;
    the_clock().time("packet", [&] { return pipeline.process({&view, 1}), 0; });
    check(pipeline.counters(), config, ++fed);
  }
  pipeline.finish();
  const auto counters = pipeline.counters();
  check(counters, config, fed);
  if (counters.packets.seen != fed || counters.fragments.bytes_held != 0 ||
      counters.flows.live != 0 || counters.streams.live != 0 || counters.streams.bytes_held != 0) {
    std::abort();
  }
  return 0;
}
