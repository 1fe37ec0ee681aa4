#include "truth/capture_replay.h"

#include <array>
#include <cctype>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/packets/packet_pipeline.h"
#include "guest/packets/pcap_file_source.h"
#include "store/community_id.h"

namespace outguard::truth {

namespace {

using guest::Observable;

/// Escapes \DDD (decimal, ours) and \ooo (octal, tshark's), and bytes above ASCII: one "?" a run.
std::string plain(const std::string &text) {
  std::string out;
  const auto odd = [&] {
    if (out.empty() || out.back() != '?') {
      out += '?';
    }
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto is_digit = [&](std::size_t at) {
      return at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0;
    };
    if (byte == '\\' && is_digit(i + 1) && is_digit(i + 2) && is_digit(i + 3)) {
      odd();
      i += 3;
    } else if (byte == '\\' && i + 1 < text.size()) {
      out += text[++i];
    } else if (byte < 0x20 || byte > 0x7e) {
      odd();
    } else {
      out += text[i];
    }
  }
  return out;
}

class Collector final : public guest::PipelineSink {
public:
  void on_flow_started(guest::Flow &flow) override {
    const auto &tuple = flow.tuple;
    const bool outward = flow.initiator == FlowDirection::ToRemote;
    shown["community-id"].insert(store::community_id(tuple.protocol,
                                                     outward ? tuple.local : tuple.remote,
                                                     outward ? tuple.remote : tuple.local));
  }
  void on_flow_ended(const guest::Flow &, guest::FlowEnd) override {}
  void on_observable(guest::Flow &, const Observable &observable) override {
    const std::string text = plain(observable.shown());
    switch (observable.kind) {
    case ObservableKind::DnsName:
      shown["dns-query"].insert(text);
      break;
    case ObservableKind::DnsAnswerAddress:
      shown[text.find(':') == std::string::npos ? "dns-a" : "dns-aaaa"].insert(text);
      break;
    case ObservableKind::HttpHost:
      shown["http-host"].insert(text);
      break;
    case ObservableKind::HttpUrl:
    case ObservableKind::ProxyTarget:
      if (text.find("://") != std::string::npos) {
        shown["http-uri"].insert(text);
      }
      break;
    case ObservableKind::TlsServerName:
      shown["tls-sni"].insert(text);
      break;
    case ObservableKind::TlsJa3:
      shown["ja3"].insert(text);
      break;
    default:
      break;
    }
  }
  Shown shown;
};

std::string lower(std::string text) {
  for (char &c : text) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return text;
}

std::string without_port(std::string host) {
  const auto bracket = host.find(']');
  const auto colon = host.rfind(':');
  if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
    host.resize(colon);
  }
  return bracket != std::string::npos ? host.substr(1, bracket - 1) : host;
}

/// Scheme and host in lower case, no default port.
std::string url(const std::string &value) {
  const auto start = value.find("://");
  if (start == std::string::npos) {
    return value;
  }
  const auto end = std::min(value.find_first_of("/?#", start + 3), value.size());
  auto host = lower(value.substr(start + 3, end - start - 3));
  if (host.ends_with(":80")) {
    host.resize(host.size() - 3);
  }
  return lower(value.substr(0, start)) + "://" + host + value.substr(end);
}

/// A packed capture is unpacked on the way.
Fd open_capture(const std::filesystem::path &path) {
  if (path.extension() != ".gz") {
    return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  }
  Fd unpacked(::memfd_create("capture", MFD_CLOEXEC));
  const std::string command = "gzip -dc '" + path.string() + "'";
  if (std::FILE *pipe = ::popen(command.c_str(), "re"); pipe != nullptr) {
    std::array<char, 65536> block{};
    while (const auto count = std::fread(block.data(), 1, block.size(), pipe)) {
      if (::write(unpacked.get(), block.data(), count) != static_cast<ssize_t>(count)) {
        break;
      }
    }
    ::pclose(pipe);
  }
  ::lseek(unpacked.get(), 0, SEEK_SET);
  return unpacked;
}

} // namespace

Replayed replay(const std::filesystem::path &capture) {
  Collector sink;
  guest::PacketPipeline pipeline({.interface = capture.filename().string()}, sink);
  guest::PcapFileSource source(open_capture(capture));
  for (auto count = pipeline.pump(source); count && *count != 0;) {
    count = pipeline.pump(source);
  }
  pipeline.finish();
  return {std::move(sink.shown), pipeline.counters(),
          source.problem() ? std::string(source.problem()->reason) : std::string()};
}

std::string in_our_form(const std::string &kind, std::string value) {
  if (kind == "ja3" || kind == "community-id") {
    return value;
  }
  if (kind == "http-uri") {
    return plain(url(value));
  }
  value = lower(std::move(value));
  if (kind == "http-host") {
    value = without_port(std::move(value));
  }
  if (value.ends_with('.')) {
    value.pop_back();
  }
  return plain(value);
}

} // namespace outguard::truth
