#include "facts/feed_fetch.h"

#include "facts/wire_message.h"

namespace outguard {

const char *to_string(FeedKind kind) {
  switch (kind) {
  case FeedKind::File:
    return "file";
  case FeedKind::Taxii:
    return "taxii";
  case FeedKind::Misp:
    return "misp";
  }
  return "unknown";
}

const char *to_string(FetchStatus status) {
  switch (status) {
  case FetchStatus::New:
    return "new";
  case FetchStatus::Unchanged:
    return "unchanged";
  case FetchStatus::Failed:
    return "failed";
  }
  return "unknown";
}

const char *to_string(FetchProblem problem) {
  switch (problem) {
  case FetchProblem::None:
    return "none";
  case FetchProblem::BadRequest:
    return "bad_request";
  case FetchProblem::Resolve:
    return "resolve";
  case FetchProblem::Connect:
    return "connect";
  case FetchProblem::Proxy:
    return "proxy";
  case FetchProblem::Tls:
    return "tls";
  case FetchProblem::Timeout:
    return "timeout";
  case FetchProblem::Stalled:
    return "stalled";
  case FetchProblem::CutShort:
    return "cut_short";
  case FetchProblem::TooLarge:
    return "too_large";
  case FetchProblem::Redirects:
    return "redirects";
  case FetchProblem::Downgrade:
    return "downgrade";
  case FetchProblem::RateLimited:
    return "rate_limited";
  case FetchProblem::ServerFault:
    return "server_fault";
  case FetchProblem::Denied:
    return "denied";
  case FetchProblem::HttpStatus:
    return "http_status";
  case FetchProblem::BadAnswer:
    return "bad_answer";
  case FetchProblem::EndlessPages:
    return "endless_pages";
  case FetchProblem::TooManyPages:
    return "too_many_pages";
  case FetchProblem::Local:
    return "local";
  }
  return "unknown";
}

std::vector<std::uint8_t> encode(const FetchFeed &request) {
  return encode_message(request);
}
std::vector<std::uint8_t> encode(const FeedFetched &answer) {
  return encode_message(answer);
}

std::optional<FetchFeed> decode_fetch(std::span<const std::uint8_t> bytes) {
  return decode_message<FetchFeed>(bytes, WireReader::PlainText::Any);
}
std::optional<FeedFetched> decode_fetched(std::span<const std::uint8_t> bytes) {
  return decode_message<FeedFetched>(bytes, WireReader::PlainText::MustBePrintable);
}

} // namespace outguard
