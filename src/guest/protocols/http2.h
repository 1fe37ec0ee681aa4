#pragma once
// HTTP/2 in clear text with prior knowledge (RFC 9113, 3.3), the client's side: host, URL and user
// agent of every request. State is one heap object a connection, of a bounded number.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guest/protocols/hpack.h"
#include "guest/protocols/look.h"
#include "guest/protocols/observable.h"

namespace outguard::guest {

enum class PrefaceMatch : std::uint8_t { No, Unfinished, Yes };
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
[[nodiscard]] PrefaceMatch match_http2_preface(std::span<const std::uint8_t> bytes);

/// Memory that all connections share, and how many there are. One thread; outlives them.
struct Http2Shared {
  static constexpr std::uint32_t kMostConnections = 512; ///< at up to 32 KiB
  std::uint32_t connections = 0;
  std::uint64_t refused = 0; ///< connections beyond those, and not read
  std::uint64_t let_go = 0;  ///< that were read, and then could not be followed
  std::vector<std::uint8_t> block;
  HpackScratch scratch;
  std::string method, scheme, authority, path, host, user_agent; ///< of the request at hand
};

class Http2Connection {
public:
  /// nullptr: too many.
  [[nodiscard]] static std::unique_ptr<Http2Connection> open(Http2Shared &shared);
  ~Http2Connection();
  Http2Connection(const Http2Connection &) = delete;
  Http2Connection &operator=(const Http2Connection &) = delete;

  /// `bytes` start at a frame. Done: they are no HTTP/2 that can be followed.
  [[nodiscard]] Look look(std::span<const std::uint8_t> bytes, std::string &scratch,
                          ObservableSink &sink);
  /// Bytes are missing: neither the next frame nor what its fields refer to is known.
  void lose_place() { lost_ = true; }

private:
  explicit Http2Connection(Http2Shared &shared);
  [[nodiscard]] bool read_block(std::span<const std::uint8_t> block, std::string &scratch,
                                ObservableSink &sink);
  void observe_request(std::string &scratch, ObservableSink &sink);

  Http2Shared &shared_;
  HpackTable table_;
  bool lost_ = false;
};

} // namespace outguard::guest
