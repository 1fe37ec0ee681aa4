#pragma once
// One feed, fetched: the body goes to a descriptor, what is to be said of it into a FeedFetched.
// The kinds are in taxii_feed.h and misp_feed.h. One thread.

#include <string_view>

#include "fetch/body_writer.h"
#include "fetch/patient_client.h"

namespace outguard::fetch {

/// What every kind of feed works with. All of it outlives the fetch.
struct FetchJob {
  const FetchFeed &request;
  PatientClient &client;
  std::string_view previous; ///< the last good copy; empty: none
  BodyWriter &body;
  FeedFetched &answer;

  void fail(FetchProblem problem, const std::string &reason) const;
  void fail(const HttpReply &reply, const std::string &url) const;
  void fail_to_write() const;
  /// Unchanged, as the server says; a fault when it was not `asked` on a condition.
  void stay(const HttpRequest &asked) const;
  /// New, with what was written.
  void succeed() const;
};

/// Fetches by kind. A failure leaves an empty body; `answer` says why.
void fetch_feed(const FetchFeed &request, HttpClient &client, PatientClient::Sleep sleep,
                std::string_view previous, int body, FeedFetched &answer);

/// Headers that ask only for what is newer than the mark.
[[nodiscard]] std::vector<std::string> conditional_headers(const FeedMark &mark);

} // namespace outguard::fetch
