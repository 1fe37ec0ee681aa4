#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "store/json_lines.h"
#include "store/terminal_line.h"

namespace outguard::store {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kNoon = 1'755'799'200'017'359'123; // 2025-08-21T18:00:00.017359123Z

ProcessSeen beacon() {
  ProcessSeen process;
  process.identity.pid = 812;
  process.ppid = 1;
  process.comm = GuestText("beacon");
  process.exe = GuestText("/tmp/beacon");
  process.exe_deleted = false;
  process.cmdline = std::vector{GuestText("beacon"), GuestText("-q x")};
  process.credentials.emplace().uid = 1000;
  process.start_time_ns = kNoon;
  process.namespaces.net = 4026531840;
  process.container = GuestText("0123abcd");
  process.unit = GuestText();
  return process;
}

Finding finding() {
  Finding made;
  auto &flow = made.match.flow;
  flow.flow_id = 77;
  flow.tuple = {6, Endpoint::parse("10.0.0.2:4312").value(),
                Endpoint::parse("45.9.20.7:443").value()};
  flow.interface = "tap0";
  flow.first_packet_ns = kNoon;
  flow.app_protocol = "tls";
  flow.packets_to_remote = 3;
  flow.packets_to_guest = 2;
  flow.bytes_to_remote = 400;
  flow.bytes_to_guest = 120;
  flow.blind = static_cast<std::uint8_t>(Blindness::EncryptedHello);
  auto &hit = made.match.indicator;
  hit.type = IndicatorType::Domain;
  hit.value = GuestText("evil.com");
  hit.source = GuestText("feed.txt");
  hit.source_line = 3;
  hit.id = GuestText("indicator--7");
  hit.about = GuestText("Loader");
  hit.tags = {GuestText("botnet"), GuestText("c2")};
  hit.tlp = Tlp::Amber;
  hit.severity = 1;
  hit.first_seen = kNoon / 1'000'000'000;
  made.match.sources = {GuestText("feed.txt:3"), GuestText("other.csv:9")};
  made.match.source_count = 2;
  hit.confidence = 75;
  hit.observed = ObservableKind::TlsServerName;
  hit.observed_value = GuestText("cdn.evil.com");
  made.match.match_latency_ns = 5000;
  auto &attribution = made.match.attribution;
  attribution.status = AttributionStatus::Exact;
  attribution.latency_ns = 120'999;
  attribution.processes = {beacon()};
  attribution.processes[0].earlier_exe = GuestText("/tmp/loader");
  attribution.ancestors = {{1, GuestText("init")}};
  attribution.ancestors_cut = true;
  made.vm = {"0c0ffee0-0000-0000-0000-000000000001", GuestText("web1"), "qemu",
             GuestText("6.1.0-35-amd64")};
  made.severity = Severity::High;
  made.signature_id = 9100004;
  made.signature = "Outguard: listed domain contacted";
  made.category = "Threat Intelligence Match";
  made.rule = "default";
  made.mode = ResponseMode::Enforce;
  return made;
}

const std::vector kResponses{
    ResponseDone{ResponseAction::BlockFlow, ResponseStatus::Blocked, "", 2100, {}, {}, "a-17"},
    ResponseDone{ResponseAction::Kill, ResponseStatus::Refused, "protected process", 3},
};

Json alert(const Finding &made, const std::vector<ResponseDone> &responses = {}) {
  return Json::parse(eve_alert(made, responses));
}

TEST(EveAlert, IsTheContractsLine) {
  const auto expected = Json::parse(R"({
    "timestamp": "2025-08-21T18:00:00.017359+0000", "flow_id": 77, "in_iface": "tap0",
    "event_type": "alert", "src_ip": "10.0.0.2", "src_port": 4312, "dest_ip": "45.9.20.7",
    "dest_port": 443, "proto": "TCP", "app_proto": "tls", "direction": "to_server",
    "community_id": "1:BKM5dRONQLURLk1kKk3ehfb6YIs=",
    "flow": {"initiator": "guest", "pkts_toserver": 3, "pkts_toclient": 2, "bytes_toserver": 400, "bytes_toclient": 120,
      "start": "2025-08-21T18:00:00.017359+0000", "blind": ["encrypted_hello"]},
    "alert": {"action": "blocked", "gid": 1, "signature_id": 9100004, "rev": 1,
      "signature": "Outguard: listed domain contacted", "category": "Threat Intelligence Match",
      "severity": 1, "context": {"indicator": {"value": "evil.com", "type": "domain",
        "source": "feed.txt", "line": 3, "sources": ["feed.txt:3", "other.csv:9"],
        "source_count": 2, "id": "indicator--7", "about": "Loader", "tags": ["botnet", "c2"],
        "tlp": "amber", "confidence": 75, "severity": 1, "first_seen": "2025-08-21T18:00:00.000000000Z",
        "last_seen": null, "valid_from": null, "valid_until": null,
        "matched": {"kind": "tls-sni", "value": "cdn.evil.com"}},
        "rule": "default", "mode": "enforce", "match_latency_us": 5}},
    "vm": {"uuid": "0c0ffee0-0000-0000-0000-000000000001", "name": "web1", "hypervisor": "qemu",
      "kernel": "6.1.0-35-amd64"},
    "process": {"pid": 812, "ppid": 1, "comm": "beacon", "exe": "/tmp/beacon",
      "exe_deleted": false, "earlier_exe": "/tmp/loader", "cmdline": ["beacon", "-q x"],
      "uid": 1000, "start_time": "2025-08-21T18:00:00.017359123Z", "sha256": null, "sha256_status": null, "container": "0123abcd",
      "unit": "",
      "ancestors": [{"pid": 1, "comm": "init"}], "ancestors_cut": true},
    "attribution": {"status": "exact", "latency_us": 120, "age_us": 0, "ambiguous": false,
                    "of_carrier": false},
    "response": [{"action": "block_flow", "status": "blocked", "reason": null, "latency_us": 2100,
        "action_id": "a-17"},
      {"action": "kill", "status": "refused", "reason": "protected process", "latency_us": 3,
        "action_id": null}]
  })");
  EXPECT_EQ(alert(finding(), kResponses), expected)
      << Json::diff(expected, alert(finding(), kResponses)).dump(1);
  EXPECT_EQ(eve_alert(finding(), kResponses).find('\n'), std::string::npos);
}

TEST(EveAlert, SourceIsTheInitiator) {
  auto made = finding();
  made.match.flow.initiator = FlowDirection::ToGuest;
  const auto line = alert(made);
  EXPECT_EQ(line["src_ip"], "45.9.20.7");
  EXPECT_EQ(line["src_port"], 443);
  EXPECT_EQ(line["dest_ip"], "10.0.0.2");
  EXPECT_EQ(line["dest_port"], 4312);
  EXPECT_EQ(line["community_id"], alert(finding())["community_id"]);
}

TEST(EveAlert, BlockedOnlyWhenAResponseTookEffect) {
  const auto action = [](ResponseStatus status) {
    return alert(finding(), {{ResponseAction::Kill, status, "", 0}})["alert"]["action"];
  };
  EXPECT_EQ(alert(finding())["alert"]["action"], "allowed");
  for (const auto status : {ResponseStatus::Pending, ResponseStatus::DryRun, ResponseStatus::Failed,
                            ResponseStatus::Refused, ResponseStatus::NotPossible,
                            ResponseStatus::Reset /* sent, and not read back */}) {
    EXPECT_EQ(action(status), "allowed") << to_string(status);
  }
  for (const auto status :
       {ResponseStatus::Killed, ResponseStatus::Blocked, ResponseStatus::Suspended}) {
    EXPECT_EQ(action(status), "blocked") << to_string(status);
  }
}

TEST(EveAlert, UnknownIsNull) {
  auto made = finding();
  made.match.attribution = {};
  made.vm.kernel = {};
  made.match.flow.app_protocol.clear();
  const auto line = alert(made);
  EXPECT_TRUE(line.at("process").is_null());
  EXPECT_FALSE(line.contains("processes"));
  EXPECT_EQ(line["attribution"]["status"], "not_found");
  EXPECT_TRUE(line["vm"].at("kernel").is_null());
  EXPECT_TRUE(line.at("app_proto").is_null());
}

TEST(EveAlert, EveryHolderOfASharedSocketIsListed) {
  auto made = finding();
  auto child = beacon();
  child.identity.pid = 813;
  made.match.attribution.processes.push_back(child);
  const auto line = alert(made);
  EXPECT_EQ(line["process"]["pid"], 812);
  ASSERT_EQ(line["processes"].size(), 2U);
  EXPECT_EQ(line["processes"][1]["pid"], 813);
}

TEST(EveAlert, IcmpHasATypeInsteadOfPorts) {
  auto made = finding();
  made.match.flow.tuple.protocol = 1;
  made.match.flow.tuple.local.port = 3;
  made.match.flow.tuple.remote.port = 1;
  const auto line = alert(made);
  EXPECT_EQ(line["proto"], "ICMP");
  EXPECT_TRUE(line.at("src_port").is_null());
  EXPECT_EQ(line["icmp_type"], 3);
  EXPECT_EQ(line["icmp_code"], 1);
}

TEST(EveAlert, ValidUntilIsATimeOrNull) {
  auto made = finding();
  const auto end = [&](std::int64_t seconds) {
    made.match.indicator.valid_until = seconds;
    return alert(made)["alert"]["context"]["indicator"]["valid_until"];
  };
  EXPECT_EQ(end(1'755'799'200), "2025-08-21T18:00:00.000000000Z");
  EXPECT_TRUE(end(-5).is_null());
  EXPECT_TRUE(end(INT64_MAX).is_null());
}

struct HostileText {
  std::string raw;
  std::string in_json;
};

TEST(JsonText, HostileBytesComeThroughOrAreEscaped) {
  const HostileText cases[] = {
      {R"(plain \ "quoted")", R"(plain \ "quoted")"},
      {"caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80"},
      {"a\n\x1b[2J\x7f", "a\n\x1b[2J\x7f"},
      {std::string("nul\0in", 6), std::string("nul\0in", 6)},
      {"\xe2\x80\xae"
       "txt",
       "\xe2\x80\xae"
       "txt"},
      {"bad\xff\\", R"(bad\xff\x5c)"},
      {"cut\xc3", R"(cut\xc3)"},
      {"surrogate\xed\xa0\x80", R"(surrogate\xed\xa0\x80)"},
  };
  for (const auto &[raw, in_json] : cases) {
    auto process = beacon();
    process.comm = GuestText(raw);
    const auto line = process_json(GuestText("web1"), process);
    EXPECT_EQ(Json::parse(line)["comm"].get<std::string>(), in_json);
    for (const char c : line) {
      EXPECT_TRUE(c >= ' ' && c <= '\x7f') << "raw line is not safe on a terminal: " << line;
    }
  }
}

TEST(JsonText, NoStringOfASensorCanBreakTheLine) {
  const std::string hostile("\xff\n\"\x80", 4);
  auto made = finding();
  made.match.flow.interface = made.match.flow.app_protocol = made.vm.uuid = hostile;
  made.vm.name = made.match.indicator.value = made.match.indicator.source = GuestText(hostile);
  made.match.indicator.observed_value = made.match.attribution.ancestors[0].comm =
      GuestText(hostile);
  made.match.indicator.type = static_cast<IndicatorType>(200);
  made.match.attribution.status = static_cast<AttributionStatus>(200);
  made.match.flow.first_packet_ns = INT64_MIN;
  made.match.attribution.processes[0].start_time_ns = INT64_MAX;
  const auto line = alert(made, {{ResponseAction::Kill, ResponseStatus::Failed, hostile, 0}});
  EXPECT_EQ(line["vm"]["name"], R"(\xff\x0a"\x80)");
  EXPECT_EQ(line["attribution"]["status"], "unknown");
}

TEST(ProcessJson, IsTheContractsRow) {
  EXPECT_EQ(process_json(GuestText("web1"), beacon()),
            R"({"vm":"web1","pid":812,"ppid":1,"comm":"beacon","exe":"/tmp/beacon",)"
            R"("cmdline":["beacon","-q x"],"uid":1000,)"
            R"("start_time":"2025-08-21T18:00:00.017359123Z","netns":4026531840,)"
            R"("container":"0123abcd","kernel_thread":false,"exe_deleted":false,"hidden":null,)"
            R"("state":"?","torn":false,"namespace_pid":null,"thread_count":null,"unit":"",)"
            R"("cgroup":null,"namespaces":{"mnt":null,"pid":null,"net":4026531840,"ipc":null,)"
            R"("uts":null,"user":null,"cgroup":null,"time":null},"cmdline_cut":false,)"
            R"("views":null,"uids":{"real":1000,"effective":0,"saved":0,"fs":0},)"
            R"("gids":{"real":0,"effective":0,"saved":0,"fs":0},)"
            R"("capabilities":{"inheritable":"0000000000000000","permitted":"0000000000000000",)"
            R"("effective":"0000000000000000","bounding":"0000000000000000",)"
            R"("ambient":"0000000000000000"}})");
  ProcessSeen bare;
  bare.identity.pid = 2;
  bare.comm = GuestText("kthreadd");
  bare.kernel_thread = true;
  bare.cmdline.emplace();
  EXPECT_EQ(
      process_json(GuestText("web1"), bare),
      R"({"vm":"web1","pid":2,"ppid":null,"comm":"kthreadd","exe":null,"cmdline":[],)"
      R"("uid":null,"start_time":null,"netns":null,"container":null,)"
      R"("kernel_thread":true,"exe_deleted":null,"hidden":null,"state":"?","torn":false,)"
      R"("namespace_pid":null,"thread_count":null,"unit":null,"cgroup":null,)"
      R"("namespaces":{"mnt":null,"pid":null,"net":null,"ipc":null,"uts":null,"user":null,)"
      R"("cgroup":null,"time":null},"cmdline_cut":false,"views":null,"uids":null,"gids":null,)"
      R"("capabilities":null})");
}

TEST(ProcessJson, CapabilitiesAreHexAsInProc) {
  auto process = beacon();
  process.credentials->effective = 0x1ff'ffff'ffff;
  process.credentials->bounding = UINT64_MAX;
  const auto sets = Json::parse(process_json(GuestText("web1"), process))["capabilities"];
  EXPECT_EQ(sets["effective"], "000001ffffffffff");
  EXPECT_EQ(sets["bounding"], "ffffffffffffffff");
}

TEST(SocketJson, IsTheContractsRow) {
  SocketSeen socket;
  socket.family = IpFamily::V6;
  socket.protocol = 6;
  socket.state = SocketState::Established;
  socket.local = Endpoint::parse("[fd00::2]:22").value();
  socket.remote = Endpoint::parse("[fd00::1]:5022").value();
  socket.inode = 1234;
  socket.netns = 4026531840;
  socket.owners = {{{812, 0, 0}, 3, Hold::Descriptor, GuestText("sshd")}};
  EXPECT_EQ(socket_json(GuestText("web1"), socket),
            R"({"vm":"web1","family":"inet6","proto":"tcp","state":"ESTABLISHED",)"
            R"("local_ip":"fd00::2","local_port":22,"remote_ip":"fd00::1","remote_port":5022,)"
            R"("inode":1234,"netns":4026531840,)"
            R"("owners":[{"pid":812,"fd":3,"comm":"sshd","hold":"descriptor"}],)"
            R"("owner_status":"exact","uid":null,"hidden":false})");
  socket.raw = true;
  socket.protocol = 1;
  EXPECT_EQ(Json::parse(socket_json(GuestText("web1"), socket))["proto"], "raw");
}

TEST(SocketJson, OfAnotherFamily) {
  OtherSocketSeen socket;
  socket.family = 1;
  socket.type = 5;
  socket.state = SocketState::Listen;
  socket.local = GuestText(std::string("@\xff\x00\n", 4));
  socket.inode = 77;
  socket.uid = 1000;
  socket.owners = {{{812, 0, 0}, -1, Hold::IoUring, GuestText("agent")}};
  EXPECT_EQ(other_socket_json(GuestText("web1"), socket),
            R"({"vm":"web1","family":"unix","type":"seqpacket","proto":"-","state":"LISTEN",)"
            R"("local":"@\\xff\\x00\\x0a","remote":null,"groups":null,"inode":77,"netns":null,)"
            R"("owners":[{"pid":812,"fd":null,"comm":"agent","hold":"io_uring"}],)"
            R"("owner_status":"exact","uid":1000})");
  socket.family = 16;
  socket.protocol = 15;
  EXPECT_EQ(Json::parse(other_socket_json(GuestText("web1"), socket))["proto"], "kobject_uevent");
  socket.family = 17;
  socket.protocol = 3;
  EXPECT_EQ(Json::parse(other_socket_json(GuestText("web1"), socket))["proto"], "0x0003");
  socket.family = 2;
  socket.protocol = 262;
  EXPECT_EQ(Json::parse(other_socket_json(GuestText("web1"), socket))["proto"], "mptcp");
  socket.family = 44;
  EXPECT_EQ(Json::parse(other_socket_json(GuestText("web1"), socket))["family"], "xdp");
  socket.family = 300;
  EXPECT_EQ(Json::parse(other_socket_json(GuestText("web1"), socket))["family"], "300");
}

TEST(AlertLine, TellsTheStory) {
  EXPECT_EQ(alert_line(finding(), kResponses, Colour::Off),
            "18:00:00.017 web1 HIGH domain evil.com (tls-sni cdn.evil.com) | pid 812 beacon "
            "/tmp/beacon | tcp 10.0.0.2:4312 -> 45.9.20.7:443 | blocked 2.1 ms, kill refused "
            "(protected process)");
  auto unknown = finding();
  unknown.match.attribution = {};
  unknown.match.indicator.observed_value = unknown.match.indicator.value;
  EXPECT_EQ(alert_line(unknown, {}, Colour::Off),
            "18:00:00.017 web1 HIGH domain evil.com | process not_found | tcp 10.0.0.2:4312 -> "
            "45.9.20.7:443");
}

TEST(AlertLine, HostileTextCannotReachTheTerminal) {
  const std::string hostile("\x1b]0;owned\x07\n\xc2\x9b", 13);
  auto made = finding();
  made.vm.name = made.match.indicator.value = made.match.indicator.observed_value =
      GuestText(hostile);
  made.match.attribution.processes[0].comm = GuestText(hostile);
  made.match.attribution.processes[0].exe = GuestText(hostile);
  const auto line = alert_line(
      made, std::vector{ResponseDone{ResponseAction::Kill, ResponseStatus::Failed, hostile, 0}},
      Colour::Off);
  for (const char c : line) {
    EXPECT_TRUE(c >= ' ' && c < '\x7f') << line;
  }
}

TEST(AlertLine, ColourIsOnlyColour) {
  auto painted = alert_line(finding(), kResponses, Colour::On);
  EXPECT_NE(painted.find("\x1b[1;31mHIGH\x1b[0m"), std::string::npos);
  for (auto start = painted.find('\x1b'); start != std::string::npos;
       start = painted.find('\x1b')) {
    painted.erase(start, painted.find('m', start) - start + 1);
  }
  EXPECT_EQ(painted, alert_line(finding(), kResponses, Colour::Off));
}

} // namespace
} // namespace outguard::store
