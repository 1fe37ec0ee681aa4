#include "fetch/patient_client.h"

#include <algorithm>

namespace outguard::fetch {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{1'000};
constexpr milliseconds kLongestPause{60'000};
/// A server that wishes for more is left to the next round.
constexpr milliseconds kMostWished{120'000};

bool may_pass(FetchProblem problem) {
  switch (problem) {
  case FetchProblem::Resolve:
  case FetchProblem::Connect:
  case FetchProblem::Timeout:
  case FetchProblem::Stalled:
  case FetchProblem::CutShort:
  case FetchProblem::RateLimited:
  case FetchProblem::ServerFault:
    return true;
  default:
    return false;
  }
}

} // namespace

milliseconds pause_after(unsigned failed, double jitter,
                         std::optional<std::chrono::seconds> retry_after) {
  const auto full =
      std::min<milliseconds>(kFirstPause * (1LL << std::min(failed - 1, 10U)), kLongestPause);
  const milliseconds own(static_cast<std::int64_t>(static_cast<double>(full.count()) *
                                                   (1.0 - std::clamp(jitter, 0.0, 1.0) / 2)));
  return retry_after ? std::max<milliseconds>(own, *retry_after) : own;
}

PatientClient::PatientClient(HttpClient &client, const FetchFeed &request, FeedFetched &answer,
                             Sleep sleep)
    : client_(&client), request_(&request), answer_(&answer), sleep_(std::move(sleep)),
      deadline_(monotonic_now() + std::chrono::nanoseconds(std::min<std::uint64_t>(
                                      request.limits.total_ns, 86'400'000'000'000))) {
  if (const auto url = parse_http_url(request.url)) {
    key_origin_ = url->origin();
  }
}

std::optional<HttpReply> PatientClient::refuse(const HttpUrl &from, const std::string &to) const {
  const auto target = parse_http_url(to);
  if (!target || target->has_user) {
    return HttpReply::failed(FetchProblem::Redirects, "redirected to what is no http or https URL");
  }
  if (from.scheme == "https" && target->scheme == "http") {
    return HttpReply::failed(FetchProblem::Downgrade,
                             "redirected from https to plain http: " + shown(to));
  }
  return std::nullopt;
}

HttpReply PatientClient::follow(const HttpRequest &request, HttpSink &sink) {
  HttpRequest hop = request;
  for (unsigned redirects = 0;; ++redirects) {
    const auto url = parse_http_url(hop.url);
    if (!url) {
      return HttpReply::failed(FetchProblem::BadRequest, "no http or https URL");
    }
    hop.headers = request.headers;
    if (url->origin() == key_origin_) {
      hop.headers.insert(hop.headers.end(), request_->key_headers.begin(),
                         request_->key_headers.end());
    }
    if (!sink.restart()) {
      return HttpReply::failed(FetchProblem::Local, "could not be written");
    }
    auto reply = client_->exchange(hop, sink, deadline_);
    ++answer_->requests;
    answer_->wire_bytes += reply.wire_bytes;
    answer_->http_status = reply.status;
    if (!reply.good() || reply.redirect_url.empty()) {
      return reply;
    }
    if (redirects == kMaxRedirects) {
      return HttpReply::failed(FetchProblem::Redirects,
                               "more than " + std::to_string(kMaxRedirects) + " redirects");
    }
    if (auto refused = refuse(*url, reply.redirect_url)) {
      return *refused;
    }
    ++answer_->redirects;
    hop.url = std::move(reply.redirect_url);
  }
}

HttpReply PatientClient::get(const HttpRequest &request, HttpSink &sink) {
  const unsigned attempts = std::clamp(request_->limits.attempts, 1U, 10U);
  for (unsigned attempt = 1;; ++attempt) {
    auto reply = follow(request, sink);
    if (reply.good() || !may_pass(reply.problem) || attempt == attempts) {
      return reply;
    }
    const double jitter = std::uniform_real_distribution<>(0, 1)(random_);
    const auto pause = pause_after(attempt, jitter, reply.retry_after);
    if (pause > kMostWished || monotonic_now() + pause >= deadline_) {
      return reply;
    }
    ++answer_->retries;
    sleep_(pause);
  }
}

} // namespace outguard::fetch
