#pragma once
// Tests: frames in, reports out, against lists made here. No guest, so no owner.

#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/packets/decoded_packet.h"
#include "guest/testing/packet_builder.h"
#include "intel/intel_compiler.h"
#include "sensor/match_sink.h"

namespace outguard::sensor {

using guest::Bytes;
using guest::PacketBuilder;
using guest::TcpTalk;

inline constexpr std::int64_t kStart = 1'755'799'217'000'000'000;
inline constexpr std::int64_t kSecond = 1'000'000'000;
inline const Endpoint kGuest = guest::endpoint("10.0.0.2:40000");
inline const Endpoint kListed = guest::endpoint("45.9.20.7:443");

inline std::vector<std::uint8_t> image_of(std::string_view list) {
  intel::IntelCompiler compiler;
  for (const char *source : {"a.txt", "b.txt"}) {
    static_cast<void>(compiler.add_feed(
        source, {reinterpret_cast<const std::uint8_t *>(list.data()), list.size()}));
  }
  return compiler.compile().image;
}

struct RecordingOutlet final : Outlet {
  void publish(Report report) override {
    if (auto *match = std::get_if<MatchSeen>(&report)) {
      matches.push_back(std::move(*match));
    } else if (auto *end = std::get_if<MatchedFlowEnded>(&report)) {
      ended.push_back(std::move(*end));
    }
  }
  std::vector<MatchSeen> matches;
  std::vector<MatchedFlowEnded> ended;
};

class MatchSinkTest : public testing::Test {
protected:
  MatchSinkTest() {
    use("45.9.20.7\nevil.com\n");
    sink_.attach(pipeline_);
  }

  intel::IntelSet::Image open(std::string_view list) {
    images_.push_back(std::make_unique<std::vector<std::uint8_t>>(image_of(list)));
    return std::make_shared<intel::IntelImage>(intel::IntelImage::open(*images_.back()).value());
  }
  void use(std::string_view list) { sink_.use(std::make_shared<intel::IntelSet>(open(list))); }

  void feed(const Bytes &frame, std::int64_t later = 20'000'000) {
    now_ns_ += later;
    guest::PacketView view;
    view.bytes = frame;
    view.original_length = static_cast<std::uint32_t>(frame.size());
    view.timestamp_ns = now_ns_;
    pipeline_.process({&view, 1});
  }

  /// A DNS question of the guest's.
  void ask(std::uint16_t port, const char *name = "\4evil\3com") {
    Bytes question{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    for (const char *c = name; *c != '\0'; ++c) {
      question.push_back(static_cast<std::uint8_t>(*c));
    }
    question.insert(question.end(), {0, 0, 1, 0, 1});
    auto local = kGuest;
    local.port = port;
    feed(PacketBuilder(local, guest::endpoint("10.0.0.1:53")).udp().payload(question).build());
  }

  /// From the listed end to a port that nobody listens on.
  void knock(std::uint16_t port, const Endpoint &from = kListed) {
    auto local = kGuest;
    local.port = port;
    feed(PacketBuilder(from, local).tcp(guest::tcp_flag::kSyn, 1000).build());
    feed(PacketBuilder(local, from)
             .tcp(guest::tcp_flag::kRst | guest::tcp_flag::kAck, 0, 1001)
             .build());
  }

  void end() {
    pipeline_.finish();
    sink_.finish();
  }

  GuestView view_;
  RecordingOutlet outlet_;
  MatchSink sink_{view_, outlet_};
  guest::PacketPipeline pipeline_{{.interface = "tap0", .local_addresses = {kGuest.address}},
                                  sink_};
  std::vector<std::unique_ptr<std::vector<std::uint8_t>>> images_;
  std::int64_t now_ns_ = kStart;
};

} // namespace outguard::sensor
