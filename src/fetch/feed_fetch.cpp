#include "fetch/feed_fetch.h"

#include <algorithm>

#include "base/printable.h"
#include "fetch/misp_feed.h"
#include "fetch/taxii_feed.h"

namespace outguard::fetch {

namespace {

/// The parser of JSON feeds takes no more in one document.
constexpr std::uint64_t kMaxJoined = std::uint64_t{512} << 20;

/// Printable ASCII with "Name: value": nothing that could begin another header or request.
bool is_header(const std::string &text) {
  const auto colon = text.find(": ");
  return colon != text.npos && colon != 0 && text.size() <= 8192 &&
         text.substr(0, colon).find(' ') == text.npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < '\x7f'; });
}

bool is_proxy(const std::string &text) {
  return text.starts_with("http://") || text.starts_with("https://") ||
         text.starts_with("socks5h://");
}

/// Why the request is not even begun; empty: it is. Never holds a key.
std::string refusal(const FetchFeed &request) {
  const auto url = parse_http_url(request.url);
  if (!url) {
    return "no http or https URL";
  }
  if (url->has_user) {
    return "user and password in a URL end in logs: give an Authorization header in a key file";
  }
  if (!std::all_of(request.key_headers.begin(), request.key_headers.end(), is_header)) {
    return "a key is no header of the form 'Name: value'";
  }
  if (!request.key_headers.empty() && url->scheme == "http" && !url->is_loopback()) {
    return "a key is not sent over plain http";
  }
  if (!request.proxy.empty() && !is_proxy(request.proxy)) {
    return "a proxy begins with http://, https:// or socks5h://";
  }
  return {};
}

void fetch_file(const FetchJob &job) {
  const HttpRequest get{job.request.url, conditional_headers(job.request.mark)};
  const auto reply = job.client.get(get, job.body);
  if (!reply.good()) {
    return job.fail(reply, job.request.url);
  }
  if (reply.status == 304) {
    return job.stay(get);
  }
  if (!job.body.finish()) {
    return job.fail_to_write();
  }
  if (job.body.size() == 0) {
    return job.fail(FetchProblem::BadAnswer, "an empty answer");
  }
  job.answer.mark.etag = reply.etag;
  job.answer.mark.last_modified = reply.last_modified;
  job.succeed();
}

} // namespace

void FetchJob::fail(FetchProblem problem, const std::string &reason) const {
  answer.status = FetchStatus::Failed;
  answer.problem = problem;
  answer.reason = to_printable(reason);
}

void FetchJob::fail(const HttpReply &reply, const std::string &url) const {
  const bool one_of_many = request.kind != FeedKind::File;
  fail(reply.problem, (one_of_many ? shown(url) + ": " : "") + reply.reason);
  if (reply.retry_after) {
    answer.retry_after_ns =
        static_cast<std::uint64_t>(std::chrono::nanoseconds(*reply.retry_after).count());
  }
}

void FetchJob::fail_to_write() const {
  const bool large = body.problem() == FetchProblem::TooLarge;
  fail(large ? FetchProblem::TooLarge : FetchProblem::Local,
       large ? "the feed is larger than the limit" : "the feed could not be written");
}

void FetchJob::stay(const HttpRequest &asked) const {
  const bool told =
      std::any_of(asked.headers.begin(), asked.headers.end(),
                  [](const std::string &header) { return header.starts_with("If-"); });
  if (!told) {
    return fail(FetchProblem::BadAnswer, "status 304, though nothing was said of a copy");
  }
  answer.status = FetchStatus::Unchanged;
  answer.mark = request.mark;
}

void FetchJob::succeed() const {
  answer.status = FetchStatus::New;
  answer.bytes = body.size();
}

std::vector<std::string> conditional_headers(const FeedMark &mark) {
  std::vector<std::string> headers;
  if (!mark.etag.empty()) {
    headers.push_back("If-None-Match: " + mark.etag);
  }
  if (!mark.last_modified.empty()) {
    headers.push_back("If-Modified-Since: " + mark.last_modified);
  }
  std::erase_if(headers, [](const std::string &header) { return !is_header(header); });
  return headers;
}

void fetch_feed(const FetchFeed &request, HttpClient &client, PatientClient::Sleep sleep,
                std::string_view previous, int body, FeedFetched &answer) {
  const auto start = monotonic_now();
  const std::uint64_t most = request.kind == FeedKind::File ? request.limits.max_bytes : kMaxJoined;
  BodyWriter writer(body, std::min(most, request.limits.max_bytes));
  PatientClient patient(client, request, answer, std::move(sleep));
  const FetchJob job{request, patient, previous, writer, answer};
  if (const auto why = refusal(request); !why.empty()) {
    job.fail(FetchProblem::BadRequest, why);
  } else if (request.kind == FeedKind::Taxii) {
    fetch_taxii(job);
  } else if (request.kind == FeedKind::Misp) {
    fetch_misp(job);
  } else {
    fetch_file(job);
  }
  if (answer.status != FetchStatus::New) {
    static_cast<void>(writer.restart());
  }
  answer.elapsed_ns = static_cast<std::uint64_t>((monotonic_now() - start).count());
}

} // namespace outguard::fetch
