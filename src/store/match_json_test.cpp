#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "store/eve_flow.h"
#include "store/eve_reader.h"
#include "store/json_lines.h"
#include "store/terminal_line.h"

namespace outguard::store {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kNoon = 1'755'799'200'017'359'123; // 2025-08-21T18:00:00.017359123Z
constexpr std::int64_t kMinute = 60'000'000'000;
const std::string kHostile("\xff\n\x1b\"\x80", 5);

FlowSeen flow() {
  FlowSeen seen;
  seen.flow_id = 77;
  seen.tuple = {6, Endpoint::parse("10.0.0.2:4312").value(),
                Endpoint::parse("45.9.20.7:443").value()};
  seen.interface = "tap0";
  seen.app_protocol = "tls";
  seen.first_packet_ns = kNoon;
  seen.last_packet_ns = kNoon + 2 * kMinute;
  seen.packets_to_remote = 30;
  seen.packets_to_guest = 20;
  seen.bytes_to_remote = 4000;
  seen.bytes_to_guest = 1200;
  return seen;
}

const VmIdentity kVm{"0c0ffee0-0000-0000-0000-000000000001", GuestText("web1"), "qemu",
                     GuestText("6.1.0-35-amd64")};

MatchedFlowEnded ended() {
  MatchedFlowEnded made;
  made.flow = flow();
  made.closed = true;
  made.matches = {{IndicatorType::Domain, GuestText("evil.com"), 12, kNoon, kNoon + kMinute}};
  made.observed = {{ObservableKind::TlsServerName, GuestText("a.evil.com")},
                   {ObservableKind::TlsJa4, GuestText("t13d1516h2_x_y")},
                   {ObservableKind::TlsServerName, GuestText("b.evil.com")}};
  return made;
}

Finding beacon_finding() {
  Finding made;
  made.match.basis = MatchBasis::Beacon;
  made.match.flow = flow();
  auto &beacon = made.match.beacon.emplace();
  beacon.score = 94;
  beacon.contacts = 40;
  beacon.intervals = 16;
  beacon.mean_interval_ms = 61'000;
  beacon.median_interval_ms = 60'000;
  beacon.jitter_percent = 10;
  beacon.mean_bytes = 900;
  beacon.size_jitter_percent = 1;
  beacon.first_ns = kNoon;
  beacon.last_ns = kNoon + kMinute;
  beacon.destination = GuestText("cdn.example");
  made.vm = kVm;
  made.severity = Severity::Low;
  return made;
}

TEST(EveFlow, TellsWhatItCameIn) {
  auto made = ended();
  made.flow.tunnels = {TunnelKind::Vxlan, TunnelKind::Gre};
  auto line = Json::parse(eve_flow(made, kVm));
  EXPECT_EQ(line["tunnel"], Json::parse(R"({"kinds": ["vxlan", "gre"], "depth": 2})"));
  made.flow.carrier = {17, Endpoint::parse("192.0.2.1:999").value(),
                       Endpoint::parse("192.0.2.2:4789").value()};
  line = Json::parse(eve_flow(made, kVm));
  EXPECT_EQ(line["tunnel"], Json::parse(R"({"kinds": ["vxlan", "gre"], "depth": 2, "proto": "UDP",
    "src_ip": "192.0.2.1", "src_port": 999, "dest_ip": "192.0.2.2", "dest_port": 4789})"));
  made.flow.tunnels.clear();
  EXPECT_FALSE(Json::parse(eve_flow(made, kVm)).contains("tunnel"));
}

TEST(EveFlow, TellsTheCountsAndIsNoAlert) {
  const auto expected = Json::parse(R"({
    "timestamp": "2025-08-21T18:02:00.017359+0000", "flow_id": 77, "in_iface": "tap0",
    "event_type": "flow", "src_ip": "10.0.0.2", "src_port": 4312, "dest_ip": "45.9.20.7",
    "dest_port": 443, "proto": "TCP", "app_proto": "tls", "direction": "to_server",
    "community_id": "1:BKM5dRONQLURLk1kKk3ehfb6YIs=",
    "flow": {"initiator": "guest", "pkts_toserver": 30, "pkts_toclient": 20, "bytes_toserver": 4000,
      "bytes_toclient": 1200, "start": "2025-08-21T18:00:00.017359+0000", "blind": [],
      "end": "2025-08-21T18:02:00.017359+0000", "age": 120, "state": "closed",
      "reason": "timeout", "alerted": true},
    "vm": {"uuid": "0c0ffee0-0000-0000-0000-000000000001", "name": "web1", "hypervisor": "qemu",
      "kernel": "6.1.0-35-amd64"},
    "matches": [{"value": "evil.com", "type": "domain", "count": 12,
      "first": "2025-08-21T18:00:00.017359123Z", "last": "2025-08-21T18:01:00.017359123Z"}],
    "observed": {"tls-sni": ["a.evil.com", "b.evil.com"], "tls-ja4": ["t13d1516h2_x_y"]},
    "observed_cut": false
  })");
  const auto text = eve_flow(ended(), kVm);
  EXPECT_EQ(Json::parse(text), expected) << Json::diff(expected, Json::parse(text)).dump(1);
  EXPECT_FALSE(alert_line_from_eve(text));
}

TEST(EveFlow, ServerIsWhomTheInitiatorCalled) {
  auto made = ended();
  made.flow.initiator = FlowDirection::ToGuest;
  made.closed = false;
  made.reason = EndReason::Shutdown;
  const auto counts = Json::parse(eve_flow(made, kVm))["flow"];
  EXPECT_EQ(counts["pkts_toserver"], 20);
  EXPECT_EQ(counts["bytes_toclient"], 4000);
  EXPECT_EQ(counts["state"], "established");
  EXPECT_EQ(counts["reason"], "shutdown");
  made.flow.packets_to_remote = 0;
  EXPECT_EQ(Json::parse(eve_flow(made, kVm))["flow"]["state"], "new");
}

TEST(EveFlow, KnocksAreToldTogether) {
  auto made = ended();
  made.knocks = Knocks{4000, {22, 23, 80}, true, kNoon, kNoon + 5 * kMinute};
  const auto event = Json::parse(eve_flow(made, kVm));
  EXPECT_EQ(event["timestamp"], "2025-08-21T18:05:00.017359+0000");
  EXPECT_EQ(event["knocks"],
            Json::parse(R"({"flows": 4000, "ports": [22, 23, 80], "ports_cut": true,
              "first": "2025-08-21T18:00:00.017359123Z",
              "last": "2025-08-21T18:05:00.017359123Z"})"));
}

TEST(EveFlow, NothingOfASensorBreaksTheLine) {
  auto made = ended();
  made.flow.interface = kHostile;
  made.flow.first_packet_ns = INT64_MIN;
  made.flow.last_packet_ns = INT64_MAX;
  made.reason = static_cast<EndReason>(200);
  made.matches[0].value = GuestText(kHostile);
  made.matches[0].type = static_cast<IndicatorType>(200);
  made.observed = {{static_cast<ObservableKind>(200), GuestText(kHostile)}};
  const auto text = eve_flow(made, kVm);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(Json::parse(text)["matches"][0]["value"], R"(\xff\x0a\x1b"\x80)");
  EXPECT_EQ(Json::parse(text)["observed"]["unknown"][0], R"(\xff\x0a\x1b"\x80)");
  made.matches[0].value = {};
  EXPECT_TRUE(Json::parse(eve_flow(made, kVm))["matches"][0]["value"].is_null());
}

TEST(EveAlert, OfABeaconHasNumbersAndNoIndicator) {
  const auto alert = Json::parse(eve_alert(beacon_finding(), {}));
  EXPECT_TRUE(alert["alert"]["context"].at("indicator").is_null());
  EXPECT_EQ(alert["beacon"], Json::parse(R"({
    "score": 94, "destination": "cdn.example", "contacts": 40, "intervals": 16,
    "mean_interval_ms": 61000, "median_interval_ms": 60000, "jitter_percent": 10,
    "mean_bytes": 900, "size_jitter_percent": 1, "first": "2025-08-21T18:00:00.017359123Z",
    "last": "2025-08-21T18:01:00.017359123Z", "clock_aligned": false})"));
  EXPECT_EQ(alert_line(beacon_finding(), {}, Colour::Off),
            "18:02:00.017 web1 LOW beacon 94 of 100: cdn.example, 40 contacts, every 60.0 s, "
            "jitter 10 % | process not_found | tcp 10.0.0.2:4312 -> 45.9.20.7:443");
  Finding without;
  EXPECT_FALSE(Json::parse(eve_alert(without, {})).contains("beacon"));
}

TEST(EveAlert, OfKnocksSaysHowMany) {
  Finding made;
  made.match.flow = flow();
  made.match.knocks = Knocks{1, {22}, false, kNoon, kNoon};
  const auto alert = Json::parse(eve_alert(made, {}));
  EXPECT_EQ(alert["alert"]["context"]["knocks"]["flows"], 1);
  EXPECT_NE(alert_line(made, {}, Colour::Off).find("knocked, unanswered"), std::string::npos);
}

TEST(EveAlert, WhatASourceSaysIsEscaped) {
  Finding made;
  auto &hit = made.match.indicator;
  hit.id = hit.about = GuestText(kHostile);
  hit.tags = made.match.sources = {GuestText(kHostile)};
  hit.first_seen = INT64_MAX;
  hit.last_seen = hit.valid_from = hit.valid_until = INT64_MIN;
  hit.tlp = static_cast<Tlp>(200);
  made.match.beacon.emplace().destination = GuestText(kHostile);
  const auto text = eve_alert(made, {});
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const auto alert = Json::parse(text);
  const auto indicator = alert["alert"]["context"]["indicator"];
  const std::string safe = R"(\xff\x0a\x1b"\x80)";
  EXPECT_EQ(indicator["id"], safe);
  EXPECT_EQ(indicator["about"], safe);
  EXPECT_EQ(indicator["tags"][0], safe);
  EXPECT_EQ(indicator["sources"][0], safe);
  EXPECT_EQ(alert["beacon"]["destination"], safe);
  for (const char *time : {"first_seen", "last_seen", "valid_from", "valid_until", "tlp"}) {
    EXPECT_TRUE(indicator.at(time).is_null()) << time;
  }
}

TEST(EveAlert, BlindnessHasNames) {
  Finding made;
  made.match.flow.blind = 0xff;
  EXPECT_EQ(Json::parse(eve_alert(made, {}))["flow"]["blind"],
            Json::parse(R"(["encrypted_hello", "dns_over_https", "dns_over_tls", "unreadable"])"));
}

} // namespace
} // namespace outguard::store
