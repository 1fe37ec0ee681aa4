#include "fetch/taxii_feed.h"

#include <algorithm>
#include <set>

#include "fetch/item_list.h"
#include "fetch/json_pages.h"

namespace outguard::fetch {

namespace {

/// Pages without an object in a row that still promise more: a filter on the server may cause some.
constexpr unsigned kMaxEmptyPages = 20;

/// The form of RFC 3339; it is sent back as it came, every digit of it.
bool is_timestamp(const std::string &text) {
  return text.size() >= 20 && text.size() <= 40 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') ||
                  std::string_view("TZ:.+-").find(c) != std::string_view::npos;
         });
}

/// Where to go on, in the server's own words.
struct Position {
  std::string added_after, next;
  auto operator<=>(const Position &) const = default;
};

/// The collection's objects, with the filters of `position`; the URL's own query stays.
std::string objects_url(const HttpUrl &collection, const Position &position) {
  std::string path = collection.path;
  path += path.ends_with('/') ? "" : "/";
  path += path.ends_with("/objects/") ? "" : "objects/";
  std::string url = collection.origin() + path;
  char separator = '?';
  const auto add = [&](const std::string &words) {
    if (!words.empty()) {
      url += separator + words;
      separator = '&';
    }
  };
  add(collection.query);
  add(position.added_after.empty() ? "" : "added_after=" + percent_encoded(position.added_after));
  add(position.next.empty() ? "" : "next=" + percent_encoded(position.next));
  return url;
}

class Collection {
public:
  explicit Collection(const FetchJob &job)
      : job_(&job), url_(*parse_http_url(job.request.url)), items_(job.body, kTaxiiFrame) {}

  void fetch() {
    if (!begin()) {
      return job_->fail_to_write();
    }
    Position at{job_->answer.mark.added_after, {}};
    while (true) {
      if (!seen_.insert(at).second) {
        return job_->fail(FetchProblem::EndlessPages, "the server's pages lead in a circle: page " +
                                                          std::to_string(job_->answer.pages) +
                                                          " names one that was there");
      }
      if (job_->answer.pages == std::max(job_->request.limits.max_pages, 1U)) {
        return job_->fail(FetchProblem::TooManyPages,
                          "more than " + std::to_string(job_->answer.pages) + " pages");
      }
      const auto more = take_page(at);
      if (!more) {
        return; // said why
      }
      if (!*more) {
        return finish();
      }
    }
  }

private:
  /// Takes over the last good copy; without one, or one that is none, all is asked for.
  bool begin() {
    if (!items_.begin()) {
      return false;
    }
    ItemReader old(job_->previous, kTaxiiFrame);
    if (job_->request.mark.added_after.empty() || !old.whole()) {
      return true;
    }
    continues_ = true;
    job_->answer.mark.added_after = job_->request.mark.added_after;
    for (auto item = old.next(); !item.empty(); item = old.next()) {
      if (!items_.add(item)) {
        return false;
      }
    }
    return true;
  }

  /// Moves `at` on; false: that was the last; nullopt: failed.
  std::optional<bool> take_page(Position &at) {
    const auto url = objects_url(url_, at);
    const auto reply =
        job_->client.get({url, {"Accept: application/taxii+json;version=2.1"}}, page_);
    if (!reply.good()) {
      job_->fail(reply, url);
      return std::nullopt;
    }
    ++job_->answer.pages;
    const auto page =
        read_taxii_page(page_.text(), [&](std::string_view object) { return items_.add(object); });
    if (!page) {
      job_->fail(FetchProblem::BadAnswer, shown(url) + ": no TAXII 2.1 envelope in page " +
                                              std::to_string(job_->answer.pages));
      return std::nullopt;
    }
    if (page->stopped) {
      job_->fail_to_write();
      return std::nullopt;
    }
    job_->answer.new_items += page->objects;
    if (is_timestamp(reply.date_added_last)) {
      job_->answer.mark.added_after = reply.date_added_last;
    }
    empty_pages_ = page->objects == 0 ? empty_pages_ + 1 : 0;
    if (page->more && empty_pages_ == kMaxEmptyPages) {
      job_->fail(FetchProblem::EndlessPages,
                 std::to_string(kMaxEmptyPages) + " empty pages in a row that promise more");
      return std::nullopt;
    }
    at.next = page->next;
    if (page->next.empty()) { // then the last date leads on
      at.added_after = job_->answer.mark.added_after;
    }
    return page->more;
  }

  void finish() {
    if (continues_ && job_->answer.new_items == 0) {
      job_->answer.status = FetchStatus::Unchanged;
      return;
    }
    if (!items_.end()) {
      return job_->fail_to_write();
    }
    job_->answer.items = items_.count();
    job_->succeed();
  }

  const FetchJob *job_;
  HttpUrl url_;
  ItemWriter items_;
  TextSink page_{kMaxPageBytes};
  std::set<Position> seen_;
  unsigned empty_pages_ = 0;
  bool continues_ = false; ///< from the last good copy
};

} // namespace

void fetch_taxii(const FetchJob &job) {
  Collection(job).fetch();
  // A copy grows by every version of its objects; the collection as it stands may well be smaller.
  const bool joined = !job.previous.empty() && !job.request.mark.added_after.empty();
  if (joined && job.answer.problem == FetchProblem::TooLarge) {
    auto &answer = job.answer;
    answer.problem = FetchProblem::None;
    answer.reason.clear();
    answer.mark = {};
    answer.pages = 0;
    answer.new_items = 0;
    const FetchJob whole{job.request, job.client, {}, job.body, answer};
    Collection(whole).fetch();
  }
}

} // namespace outguard::fetch
