#include "store/fetch_json.h"

#include "store/json_value.h"

namespace outguard::store {

std::string fetch_json(const std::string &shown_url, FeedKind kind, const FeedFetched &fetched,
                       const std::string &file) {
  const bool failed = fetched.status == FetchStatus::Failed;
  Json gaps = Json::array();
  for (const auto &gap : fetched.sandbox_gaps) {
    gaps.push_back(text(gap));
  }
  return line(
      {{"url", text(shown_url)},
       {"kind", to_string(kind)},
       {"status", to_string(fetched.status)},
       {"problem", failed ? Json(to_string(fetched.problem)) : Json()},
       {"reason", text_or_null(fetched.reason)},
       {"http_status", fetched.http_status == 0 ? Json() : Json(fetched.http_status)},
       {"file", text_or_null(file)},
       {"bytes", fetched.bytes},
       {"wire_bytes", fetched.wire_bytes},
       {"items", fetched.items},
       {"new_items", fetched.new_items},
       {"skipped", fetched.skipped},
       {"etag", text_or_null(fetched.mark.etag)},
       {"last_modified", text_or_null(fetched.mark.last_modified)},
       {"added_after", text_or_null(fetched.mark.added_after)},
       {"requests", fetched.requests},
       {"pages", fetched.pages},
       {"retries", fetched.retries},
       {"redirects", fetched.redirects},
       {"retry_after_s",
        fetched.retry_after_ns == 0 ? Json() : Json(fetched.retry_after_ns / 1'000'000'000)},
       {"elapsed_us", fetched.elapsed_ns / 1000},
       {"sandbox_gaps", std::move(gaps)}});
}

} // namespace outguard::store
