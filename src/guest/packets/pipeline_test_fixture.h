#pragma once
// Tests of the pipeline: a sink that records, and a fixture that feeds frames a millisecond apart
// and checks the accounts at the end.

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/packets/packet_pipeline.h"
#include "guest/protocols/recording_test_sink.h"
#include "guest/testing/message_builder.h"

namespace outguard::guest {

class RecordingPipelineSink final : public PipelineSink {
public:
  void on_flow_started(Flow &flow) override {
    EXPECT_EQ(flow.user, 0U);
    flow.user = ++users;
    newest = &flow;
    started.push_back(flow.tuple.local.to_string() + " > " + flow.tuple.remote.to_string());
  }
  void on_observable(Flow &flow, const Observable &observable) override {
    EXPECT_NE(flow.user, 0U);
    ++observables;
    if (observable.kind == ObservableKind::TlsAlpn || observable.kind == ObservableKind::TlsJa3 ||
        observable.kind == ObservableKind::TlsJa4) {
      return; // every hello has them; its name tells what these tests ask
    }
    observed.push_back(described(observable));
    observed_ns = flow.last_packet_ns;
  }
  void on_flow_ended(const Flow &flow, FlowEnd reason) override {
    EXPECT_NE(flow.user, 0U);
    ended.push_back(reason);
    last = flow;
  }

  std::uint64_t users = 0;
  std::uint64_t observables = 0;
  std::vector<std::string> started;
  std::vector<std::string> observed;
  std::vector<FlowEnd> ended;
  std::int64_t observed_ns = 0;
  Flow last;                    ///< that ended
  const Flow *newest = nullptr; ///< that started last; good until it ends
};

class PipelineTest : public testing::Test {
protected:
  static constexpr std::int64_t kStart = 1'700'000'000'000'000'000;
  static constexpr std::int64_t kMillisecond = 1'000'000;

  void TearDown() override {
    expect_balanced();
    pipeline().finish();
    const auto counters = pipeline().counters();
    EXPECT_EQ(counters.flows.live, 0U);
    EXPECT_EQ(counters.streams.live, 0U);
    EXPECT_EQ(counters.streams.bytes_held, 0U);
    EXPECT_EQ(counters.fragments.bytes_held, 0U);
    EXPECT_EQ(counters.fragments.packets, 0U);
    EXPECT_EQ(counters.packets.seen, fed_);
    EXPECT_EQ(sink_.started.size(), sink_.ended.size());
    EXPECT_EQ(counters.observables, sink_.observables);
  }

  void expect_balanced() {
    const auto counters = pipeline().counters();
    // Fragments in tunnels wait too, and those around them are counted at once.
    EXPECT_LE(counters.packets.seen, fed_);
    EXPECT_GE(counters.packets.seen + counters.fragments.waiting, fed_);
    EXPECT_EQ(counters.inside.seen, counters.inside.processed + counters.inside.dropped_total());
    EXPECT_EQ(counters.packets.seen, counters.packets.processed + counters.packets.dropped_total());
    std::uint64_t ended = 0;
    for (const auto count : counters.flows.ended) {
      ended += count;
    }
    EXPECT_EQ(counters.flows.started, counters.flows.live + ended);
  }

  /// Made with `config_` at first use.
  PacketPipeline &pipeline() {
    if (!pipeline_) {
      pipeline_ = std::make_unique<PacketPipeline>(config_, sink_);
    }
    return *pipeline_;
  }

  /// As a tap hands it over, from the guest, with the checksum that the guest filled in.
  void feed_from_guest(const Bytes &frame) { feed(frame, FlowDirection::ToRemote, 0, true); }

  void feed(const Bytes &frame, std::optional<FlowDirection> direction = std::nullopt,
            std::size_t cut = 0, bool checksums_filled = false) {
    PacketView view;
    view.checksums_filled = checksums_filled;
    view.bytes = std::span(frame).first(frame.size() - cut);
    view.original_length = static_cast<std::uint32_t>(frame.size());
    view.timestamp_ns = now_ns_;
    view.direction = direction;
    now_ns_ += kMillisecond;
    ++fed_;
    pipeline().process({&view, 1});
  }

  PipelineConfig config_{.interface = "tap0"};
  RecordingPipelineSink sink_;
  std::unique_ptr<PacketPipeline> pipeline_;
  std::int64_t now_ns_ = kStart;
  std::uint64_t fed_ = 0;
};

} // namespace outguard::guest
