#include "guest/protocols/http_observe.h"

#include "guest/protocols/host_name.h"

namespace outguard::guest {

void observe_http_host(ObservableKind kind, std::string_view scheme, std::string_view host_and_port,
                       std::string_view path, std::string &scratch, ObservableSink &sink) {
  sink.spend(host_and_port.size() + path.size()); // also where nothing comes of it
  const Authority authority = split_authority(host_and_port);
  scratch.clear();
  const auto form = append_host(authority.host, scratch);
  if (!form) {
    return;
  }
  sink.observe({kind, *form, scratch});
  if (path.empty() || !sink.wants(ObservableKind::HttpUrl)) {
    return;
  }
  const bool is_v6 = *form == HostForm::Address && scratch.find(':') != std::string::npos;
  std::string prefix;
  for (const char c : scheme) {
    prefix += to_lower(c);
  }
  prefix += is_v6 ? "://[" : "://";
  scratch.insert(0, prefix);
  scratch += is_v6 ? "]" : "";
  const std::uint16_t default_port = prefix.starts_with("https:") ? 443 : 80;
  if (authority.port && *authority.port != default_port) {
    scratch += ':' + std::to_string(*authority.port);
  }
  scratch += path.front() == '/' ? "" : "/";
  scratch += path;
  sink.observe({ObservableKind::HttpUrl, *form, scratch});
}

void observe_http_text(ObservableKind kind, std::string_view value, std::string &scratch,
                       ObservableSink &sink) {
  constexpr std::size_t kMostBytes = 512;
  if (value.empty() || !sink.wants(kind)) {
    return;
  }
  scratch.clear();
  append_printable(value, kMostBytes, scratch);
  sink.observe({kind, HostForm::NoHost, scratch});
}

} // namespace outguard::guest
