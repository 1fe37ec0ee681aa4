#pragma once
// What the privileged side and outguard-fetch say to each other over one SOCK_SEQPACKET pair: one
// FetchFeed down with its descriptors, one FeedFetched up. A process fetches one feed and ends, so
// what one server sends never meets another server's key.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace outguard {

enum class FeedKind : std::uint8_t {
  File,  ///< whatever stands at the URL
  Taxii, ///< a TAXII 2.1 collection
  Misp,  ///< a MISP feed: a manifest and an event a file
};

/// What a server said of the copy we have, to be told next time. Empty: nothing.
struct FeedMark {
  std::string etag, last_modified;
  std::string added_after; ///< TAXII, in the server's own words: no digit of it may be lost
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.etag, self.last_modified, self.added_after);
  }
};

struct FetchLimits {
  std::uint64_t max_bytes = std::uint64_t{1}
                            << 30;  ///< of the whole feed, decompressed; JSON: half of it
  std::uint32_t max_pages = 10'000; ///< of a collection, each up to 64 MiB
  std::uint32_t attempts = 4;       ///< for each page or file
  std::uint64_t connect_ns = 10'000'000'000;
  std::uint64_t stall_ns = 30'000'000'000; ///< nothing came for so long
  std::uint64_t total_ns = 900'000'000'000;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.max_bytes, self.max_pages, self.attempts, self.connect_ns, self.stall_ns,
         self.total_ns);
  }
};

/// Descriptors: a file open for writing, empty, that receives the feed; then, where there is one,
/// the last good copy, for reading: what a server sends as a change is joined with it, so that the
/// answer is always the whole feed. Without it `mark.added_after` means nothing.
struct FetchFeed {
  std::string url;
  FeedKind kind = FeedKind::File;
  std::vector<std::string> key_headers; ///< "Name: value"; secret, for the URL's own origin only
  std::string proxy;                    ///< empty: none
  std::string ca_pem;                   ///< trusted instead of the host's authorities; empty: those
  FeedMark mark;
  FetchLimits limits;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.url, self.kind, self.key_headers, self.proxy, self.ca_pem, self.mark, self.limits);
  }
};

enum class FetchStatus : std::uint8_t { New, Unchanged, Failed };

enum class FetchProblem : std::uint8_t {
  None,
  BadRequest, ///< URL, proxy or headers make no sense, or are refused
  Resolve,
  Connect,
  Proxy,
  Tls,
  Timeout,
  Stalled,
  CutShort,
  TooLarge,
  Redirects,   ///< too many, or in a circle
  Downgrade,   ///< a redirect from https to http
  RateLimited, ///< 429, or 503 with Retry-After
  ServerFault, ///< other 5xx
  Denied,      ///< 401, 403
  HttpStatus,  ///< any other
  BadAnswer,   ///< not what the kind of feed asks for
  EndlessPages,
  TooManyPages,
  Local, ///< this host: memory, the file to write
};
[[nodiscard]] const char *to_string(FeedKind kind);
[[nodiscard]] const char *to_string(FetchStatus status);
[[nodiscard]] const char *to_string(FetchProblem problem);

struct FeedFetched {
  FetchStatus status = FetchStatus::Failed;
  FetchProblem problem = FetchProblem::None;
  std::string reason; ///< in words; empty unless Failed
  std::uint32_t http_status = 0;
  FeedMark mark;                ///< for next time
  std::uint64_t bytes = 0;      ///< of the feed, when New
  std::uint64_t wire_bytes = 0; ///< of all bodies as they came, compressed
  std::uint64_t items = 0;      ///< objects or events in the feed, old ones too
  std::uint64_t new_items = 0;  ///< of them came this time
  std::uint64_t skipped = 0;    ///< events that the manifest names and nobody could get
  std::uint32_t requests = 0, pages = 0, retries = 0, redirects = 0;
  std::uint64_t elapsed_ns = 0;
  std::uint64_t retry_after_ns = 0;      ///< the server's wish, when Failed; 0: none
  std::vector<std::string> sandbox_gaps; ///< what of its sandbox this host could not give
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.status, self.problem, self.reason, self.http_status, self.mark, self.bytes,
         self.wire_bytes, self.items, self.new_items, self.skipped, self.requests, self.pages,
         self.retries, self.redirects, self.elapsed_ns, self.retry_after_ns, self.sandbox_gaps);
  }
};

[[nodiscard]] std::vector<std::uint8_t> encode(const FetchFeed &request);
[[nodiscard]] std::vector<std::uint8_t> encode(const FeedFetched &answer);
/// nullopt: not a message of this version. An answer's texts must be printable as they stand.
[[nodiscard]] std::optional<FetchFeed> decode_fetch(std::span<const std::uint8_t> bytes);
[[nodiscard]] std::optional<FeedFetched> decode_fetched(std::span<const std::uint8_t> bytes);

} // namespace outguard
