#pragma once
// What a protocol parser found that intelligence can be matched against. The text is normalized and
// still hostile: it lives in the parser's scratch memory and is good during the call only.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/ip_address.h"
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
  /// Set where a message holds it as octets; `text` is empty then.
  const IpAddress *address = nullptr;

  [[nodiscard]] std::string shown() const {
    return address != nullptr ? address->to_string() : std::string(text);
  }
};

/// A set of kinds.
class ObservableKinds {
public:
  constexpr ObservableKinds() = default;
  constexpr ObservableKinds(std::initializer_list<ObservableKind> kinds) {
    for (const auto kind : kinds) {
      add(kind);
    }
  }
  [[nodiscard]] static constexpr ObservableKinds all() {
    ObservableKinds kinds;
    kinds.bits_ = ~std::uint32_t{0};
    return kinds;
  }
  constexpr void add(ObservableKind kind) { bits_ |= bit(kind); }
  constexpr void remove(ObservableKind kind) { bits_ &= ~bit(kind); }
  [[nodiscard]] constexpr bool has(ObservableKind kind) const { return (bits_ & bit(kind)) != 0; }

private:
  [[nodiscard]] static constexpr std::uint32_t bit(ObservableKind kind) {
    static_assert(kObservableKinds <= 32);
    return std::uint32_t{1} << static_cast<unsigned>(kind);
  }
  std::uint32_t bits_ = 0;
};

/// Where parsers put what they find. Called in the order of the bytes.
class ObservableSink {
public:
  explicit ObservableSink(ObservableKinds wanted = ObservableKinds::all()) : wanted_(wanted) {}
  virtual ~ObservableSink() = default;
  /// Somebody asks for this kind now. A parser need not look for others: digests cost more than
  /// all the rest of a hello.
  [[nodiscard]] bool wants(ObservableKind kind) const { return wanted_.has(kind); }
  /// Somebody is told whatever is seen of this flow: so it is from the observable on that matched.
  [[nodiscard]] bool wants_all() const { return wants_all_; }
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

protected:
  void want_all() {
    wanted_ = ObservableKinds::all();
    wants_all_ = true;
  }

private:
  ObservableKinds wanted_;
  bool wants_all_ = false;
  std::size_t spent_ = 0;
  bool passed_over_ = false;
};

} // namespace outguard::guest
