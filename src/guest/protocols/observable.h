#pragma once
// What a protocol parser found that intelligence can be matched against. The text is normalized and
// still hostile: it lives in the parser's scratch memory and is good during the call only.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "facts/flow_seen.h"

namespace outguard::guest {

enum class AppProtocol : std::uint8_t { None, Dns, Http, Tls, Quic, Ssh, Smtp, Ftp, Tftp, Socks };
/// "dns", "http", "tls", ..., or empty.
[[nodiscard]] const char *to_string(AppProtocol protocol);

enum class HostForm : std::uint8_t {
  Name,    ///< letters, digits, hyphens, underscores in labels of 1..63, at most 253
  Address, ///< an IPv4 or IPv6 literal, without brackets
  Odd,     ///< anything else; bytes outside printable ASCII are escaped as \DDD
  NoHost,  ///< the observable is no host: a fingerprint, a banner, a file name
};

struct Observable {
  ObservableKind kind = ObservableKind::DnsName;
  HostForm form = HostForm::Name; ///< of the host part
  std::string_view text;          ///< host: lower-case, no trailing dot, no port. URL: see http.h
};

/// Where parsers put what they find. Called in the order of the bytes.
class ObservableSink {
public:
  virtual ~ObservableSink() = default;
  virtual void observe(const Observable &observable) = 0;
  /// Something of this flow cannot be read from outside, whatever a parser does.
  virtual void note_blindness(Blindness why) = 0;
  /// Work on the packet at hand beyond reading it once, in bytes of text. An observable costs its
  /// text and kObservableCost, for it is looked up.
  void spend(std::size_t bytes) { spent_ += bytes; }
  /// A parser's limit is reached: there is more in the packet than was looked at.
  void pass_over_rest() { passed_over_ = true; }
  [[nodiscard]] bool passed_over() const { return passed_over_ || is_full(); }
  /// All that is spent on one packet: parsers of streams pass over its rest.
  [[nodiscard]] bool is_full() const { return spent_ > kMostSpent; }

  static constexpr std::size_t kObservableCost = 64;
  /// Some 400 requests with name, URL and user agent; thousands fit a segment.
  static constexpr std::size_t kMostSpent = std::size_t{128} * 1024;

private:
  std::size_t spent_ = 0;
  bool passed_over_ = false;
};

} // namespace outguard::guest
