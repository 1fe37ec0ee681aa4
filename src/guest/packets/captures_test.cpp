// An optional further check against other people's captures and tshark's view of them. Runs only
// where OUTGUARD_SHARED_DATA names a folder with `observables.tsv` (capture, kind, value, ...) and
// the captures unpacked beside it in `captures/`. OUTGUARD_CAPTURES_REPORT names a file for every
// difference.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>

#include "guest/packets/packet_pipeline.h"
#include "guest/packets/pcap_file_source.h"

namespace outguard::guest {
namespace {

using Values = std::set<std::string>;
/// By kind as the file names it: "dns-query", "dns-a", "http-host", ...
using ByKind = std::map<std::string, Values>;

class Collector final : public PipelineSink {
public:
  void on_flow_started(Flow &) override {}
  void on_flow_ended(const Flow &, FlowEnd) override {}
  void on_observable(Flow &, const Observable &observable) override {
    const std::string text(observable.text);
    switch (observable.kind) {
    case ObservableKind::DnsName:
      found["dns-query"].insert(text);
      break;
    case ObservableKind::DnsAnswerAddress:
      found[text.find(':') == std::string::npos ? "dns-a" : "dns-aaaa"].insert(text);
      break;
    case ObservableKind::HttpHost:
      found["http-host"].insert(text);
      break;
    case ObservableKind::HttpUrl:
      found["http-uri"].insert(text);
      // tshark gives the target as it came: with and without its host.
      if (const auto slash = text.find('/', text.find("://") + 3); slash != std::string::npos) {
        found["http-uri"].insert(text.substr(slash));
      }
      break;
    case ObservableKind::TlsServerName:
      found["tls-sni"].insert(text);
      break;
    case ObservableKind::TlsJa3:
      found["ja3"].insert(text);
      break;
    default:
      break;
    }
  }
  ByKind found;
};

std::string lower(std::string text) {
  for (char &c : text) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return text;
}

/// What tshark calls it, in our normal form.
std::string normalized(const std::string &kind, std::string value) {
  if (kind == "http-uri") {
    return value;
  }
  value = lower(value);
  if (kind == "http-host") {
    const auto bracket = value.find(']');
    const auto colon = value.rfind(':');
    if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
      value.resize(colon);
    }
    if (bracket != std::string::npos) {
      value = value.substr(1, bracket - 1);
    }
  }
  if (!value.empty() && value.back() == '.') {
    value.pop_back();
  }
  return value;
}

TEST(Captures, SeeWhatTsharkSees) {
  const char *root = std::getenv("OUTGUARD_SHARED_DATA");
  const std::filesystem::path folder = root != nullptr ? root : "";
  std::ifstream table(folder / "observables.tsv");
  if (root == nullptr || !table) {
    GTEST_SKIP() << "OUTGUARD_SHARED_DATA names no folder with observables.tsv and captures/";
  }
  std::map<std::string, ByKind> wanted;
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string capture, kind, value;
    std::getline(fields, capture, '\t');
    std::getline(fields, kind, '\t');
    std::getline(fields, value, '\t');
    wanted[capture][kind].insert(normalized(kind, value));
  }
  const char *report_file = std::getenv("OUTGUARD_CAPTURES_REPORT");
  std::ofstream report(report_file != nullptr ? report_file : "/dev/null");
  std::map<std::string, std::array<std::size_t, 3>> totals; // seen by both, missing, extra
  std::size_t files = 0;
  for (auto &[capture, kinds] : wanted) {
    Fd file(::open((folder / "captures" / capture).c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      continue;
    }
    ++files;
    Collector sink;
    PacketPipeline pipeline({.interface = capture}, sink);
    PcapFileSource source(std::move(file));
    for (;;) {
      const auto count = pipeline.pump(source);
      if (!count || *count == 0) {
        break;
      }
    }
    if (source.problem()) {
      report << capture << "\tproblem\t" << source.problem()->reason << " at "
             << source.problem()->offset << "\n";
    }
    pipeline.finish();
    const auto counters = pipeline.counters();
    ASSERT_EQ(counters.packets.seen, counters.packets.processed + counters.packets.dropped_total())
        << capture;
    ASSERT_EQ(counters.flows.live, 0U) << capture;
    ASSERT_EQ(counters.streams.bytes_held, 0U) << capture;
    for (const char *kind :
         {"dns-query", "dns-a", "dns-aaaa", "http-host", "http-uri", "tls-sni", "ja3"}) {
      for (const std::string &value : kinds[kind]) {
        const bool seen = sink.found[kind].contains(value);
        ++totals[kind][seen ? 0 : 1];
        if (!seen) {
          report << capture << "\tmissing\t" << kind << '\t' << value << "\n";
        }
      }
      for (const std::string &value : sink.found[kind]) {
        if (!kinds[kind].contains(value) && std::string(kind) != "http-uri") {
          ++totals[kind][2];
          report << capture << "\textra\t" << kind << '\t' << value << "\n";
        }
      }
    }
  }
  for (const auto &[kind, counts] : totals) {
    std::printf("%-10s seen %zu, missing %zu, extra %zu\n", kind.c_str(), counts[0], counts[1],
                counts[2]);
    // Beyond reach by design, and nearly all of what is missing: tunnels that no guest ends (GTP,
    // ERSPAN), other links (802.11, PPP, NFLOG), SSDP, SCTP, TLS over UDP, what ICMP errors quote,
    // DNS updates and inverse queries, packed captures. Other than in tshark: odd bytes are
    // escaped, the root is no name; where a request has no Host its receiver stands in; HTTP/2 has
    // hosts, and SVCB and HTTPS records have addresses.
    EXPECT_GT(counts[0] * 100, (counts[0] + counts[1]) * 75) << kind;
  }
  EXPECT_GT(files, 100U);
}

} // namespace
} // namespace outguard::guest
