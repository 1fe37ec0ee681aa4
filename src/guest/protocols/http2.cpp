#include "guest/protocols/http2.h"

#include <algorithm>
#include <optional>

#include "guest/bytes/byte_cursor.h"
#include "guest/protocols/http_observe.h"
#include "guest/protocols/text_line.h"

namespace outguard::guest {

namespace {

constexpr std::uint8_t kHeaders = 1;
constexpr std::uint8_t kContinuation = 9;
constexpr std::uint8_t kEndHeaders = 0x4;
constexpr std::uint8_t kPadded = 0x8;
constexpr std::uint8_t kPriority = 0x20;
constexpr std::size_t kPriorityBytes = 5;
/// Of the frames of one header block: below what a stream may hold (StreamConfig).
constexpr std::size_t kMostBlock = std::size_t{12} * 1024;
/// Copied and compared, which is cheaper than to be looked up.
constexpr std::size_t kDecodedPerByte = 4;

struct Frame {
  std::uint32_t length = 0;
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
};

std::optional<Frame> read_frame(ByteCursor &cursor) {
  constexpr std::size_t kFrameHeader = 9;
  if (cursor.remaining() < kFrameHeader) {
    return std::nullopt;
  }
  Frame frame;
  frame.length = *cursor.be24();
  frame.type = *cursor.u8();
  frame.flags = *cursor.u8();
  frame.stream = *cursor.be32() & 0x7fffffffU;
  return frame;
}

enum class FrameEnd : std::uint8_t { Here, CutOff };

/// The part of a HEADERS frame that is header block; nullopt when its lengths contradict.
std::optional<std::span<const std::uint8_t>> without_padding(std::span<const std::uint8_t> payload,
                                                             std::uint8_t flags, FrameEnd end) {
  ByteCursor cursor(payload);
  std::size_t padding = 0;
  if ((flags & kPadded) != 0) {
    const auto length = cursor.u8();
    if (!length) {
      return std::nullopt;
    }
    padding = end == FrameEnd::Here ? *length : 0;
  }
  if ((flags & kPriority) != 0 && !cursor.skip(kPriorityBytes)) {
    return std::nullopt;
  }
  if (padding > cursor.remaining()) {
    return std::nullopt;
  }
  return cursor.rest().first(cursor.remaining() - padding);
}

} // namespace

PrefaceMatch match_http2_preface(std::span<const std::uint8_t> bytes) {
  const auto text = as_text(bytes).substr(0, kHttp2Preface.size());
  if (text != kHttp2Preface.substr(0, text.size())) {
    return PrefaceMatch::No;
  }
  return text.size() < kHttp2Preface.size() ? PrefaceMatch::Unfinished : PrefaceMatch::Yes;
}

std::unique_ptr<Http2Connection> Http2Connection::open(Http2Shared &shared) {
  if (shared.connections >= Http2Shared::kMostConnections) {
    ++shared.refused;
    return nullptr;
  }
  return std::unique_ptr<Http2Connection>(new Http2Connection(shared));
}

Http2Connection::Http2Connection(Http2Shared &shared) : shared_(shared) {
  ++shared_.connections;
}

Http2Connection::~Http2Connection() {
  --shared_.connections;
}

Look Http2Connection::look(std::span<const std::uint8_t> bytes, std::string &scratch,
                           ObservableSink &sink) {
  if (lost_) {
    return kDone;
  }
  ByteCursor cursor(bytes);
  const auto first = read_frame(cursor);
  if (!first) {
    return kNeedMore;
  }
  if (first->type == kContinuation) {
    return kDone;
  }
  if (first->type != kHeaders) {
    return consumed(cursor.position() + first->length);
  }
  shared_.block.clear();
  for (Frame frame = *first;;) {
    const std::size_t end = cursor.position() + frame.length;
    const std::size_t wanted = std::min(end, kMostBlock);
    if (bytes.size() < wanted) {
      return kNeedMore;
    }
    const bool cut = end > kMostBlock;
    const auto payload = cursor.take(wanted - std::min(wanted, cursor.position()));
    if (!payload) {
      return kDone;
    }
    const auto part =
        frame.type == kContinuation
            ? std::optional(*payload)
            : without_padding(*payload, frame.flags, cut ? FrameEnd::CutOff : FrameEnd::Here);
    if (!part) {
      return kDone;
    }
    shared_.block.insert(shared_.block.end(), part->begin(), part->end());
    if (cut) { // the request's own fields come first (RFC 9113, 8.3); the table is lost
      static_cast<void>(read_block(shared_.block, scratch, sink));
      return kDone;
    }
    if ((frame.flags & kEndHeaders) != 0) {
      break;
    }
    const auto next = read_frame(cursor);
    if (!next) {
      return kNeedMore;
    }
    if (next->type != kContinuation || next->stream != first->stream) {
      return kDone;
    }
    frame = *next;
  }
  return read_block(shared_.block, scratch, sink) ? consumed(cursor.position()) : kDone;
}

bool Http2Connection::read_block(std::span<const std::uint8_t> block, std::string &scratch,
                                 ObservableSink &sink) {
  struct Wanted {
    std::string_view name;
    std::string &value;
  };
  const Wanted wanted[] = {
      {":method", shared_.method}, {":scheme", shared_.scheme}, {":authority", shared_.authority},
      {":path", shared_.path},     {"host", shared_.host},      {"user-agent", shared_.user_agent}};
  for (const Wanted &field : wanted) {
    field.value.clear();
  }
  HpackReader reader(table_, block, shared_.scratch);
  while (const auto field = reader.next()) {
    for (const Wanted &known : wanted) {
      if (known.value.empty() && known.name == field->name) {
        known.value = field->value;
      }
    }
  }
  sink.spend(reader.decoded() / kDecodedPerByte);
  if (!shared_.method.empty()) { // trailers have none
    observe_request(scratch, sink);
  }
  return !reader.failed();
}

void Http2Connection::observe_request(std::string &scratch, ObservableSink &sink) {
  const Http2Shared &request = shared_;
  if (request.method == "CONNECT" && request.path.empty()) { // RFC 8441 has one with a path
    observe_http_host(ObservableKind::ProxyTarget, "http", request.authority, {}, scratch, sink);
  } else {
    // Servers disagree on which one counts where both are given (RFC 9113, 8.3.1).
    for (const std::string *host : {&request.authority, &request.host}) {
      if (host == &request.host && request.host == request.authority) {
        continue;
      }
      observe_http_host(
          ObservableKind::HttpHost, request.scheme.empty() ? "http" : request.scheme.c_str(), *host,
          request.path == "*" ? std::string_view{} : std::string_view(request.path), scratch, sink);
    }
  }
  observe_http_text(ObservableKind::HttpMethod, request.method, scratch, sink);
  observe_http_text(ObservableKind::HttpUserAgent, request.user_agent, scratch, sink);
}

} // namespace outguard::guest
