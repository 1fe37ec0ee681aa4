#include "fetch/misp_feed.h"

#include <charconv>
#include <map>

#include "fetch/item_list.h"
#include "fetch/json_pages.h"

namespace outguard::fetch {

namespace {

// An item: {"uuid":"...","timestamp":N,"Event":{...}}, written by us, so its start has this form.
constexpr std::string_view kUuidStart = R"({"uuid":")";
constexpr std::string_view kTimestampStart = R"(","timestamp":)";

std::string item_of(const ManifestEvent &event, std::string_view body) {
  std::string item(kUuidStart);
  item.append(event.uuid).append(kTimestampStart).append(std::to_string(event.timestamp));
  return item.append(",\"Event\":").append(body).append("}");
}

std::optional<ManifestEvent> event_of(std::string_view item) {
  constexpr std::size_t kUuidBytes = 36;
  if (!item.starts_with(kUuidStart) || item.size() < kUuidStart.size() + kUuidBytes) {
    return std::nullopt;
  }
  ManifestEvent event{std::string(item.substr(kUuidStart.size(), kUuidBytes)), 0};
  item.remove_prefix(kUuidStart.size() + kUuidBytes);
  if (!is_uuid(event.uuid) || !item.starts_with(kTimestampStart)) {
    return std::nullopt;
  }
  item.remove_prefix(kTimestampStart.size());
  const auto [end, error] =
      std::from_chars(item.data(), item.data() + item.size(), event.timestamp);
  return error == std::errc{} ? std::optional(std::move(event)) : std::nullopt;
}

class Feed {
public:
  explicit Feed(const FetchJob &job) : job_(&job), items_(job.body, kMispFrame) {
    const auto url = *parse_http_url(job.request.url);
    const bool folder = url.path.ends_with('/') || url.path.ends_with(".json");
    base_ = url.origin() + (folder ? url.directory : url.path + "/");
    query_ = url.query.empty() ? "" : "?" + url.query;
  }

  void fetch() {
    read_previous();
    const auto manifest = fetch_manifest();
    if (!manifest) {
      return; // said why, or nothing changed
    }
    if (!items_.begin()) {
      return job_->fail_to_write();
    }
    for (const auto &event : manifest->events) {
      if (!take(event)) {
        return;
      }
    }
    finish(*manifest);
  }

private:
  struct OldEvent {
    std::int64_t timestamp = 0;
    std::string_view item;
  };

  void read_previous() {
    ItemReader old(job_->previous, kMispFrame);
    for (auto item = old.next(); !item.empty(); item = old.next()) {
      if (auto event = event_of(item)) {
        old_[std::move(event->uuid)] = {event->timestamp, item};
      }
    }
    have_previous_ = old.whole();
  }

  std::optional<MispManifest> fetch_manifest() {
    const auto url = base_ + "manifest.json" + query_;
    HttpRequest get{url, {"Accept: application/json"}};
    if (have_previous_) {
      const auto conditions = conditional_headers(job_->request.mark);
      get.headers.insert(get.headers.end(), conditions.begin(), conditions.end());
    }
    const auto reply = job_->client.get(get, page_);
    if (!reply.good()) {
      job_->fail(reply, url);
      return std::nullopt;
    }
    if (reply.status == 304) {
      job_->stay(get);
      return std::nullopt;
    }
    auto manifest = read_misp_manifest(page_.text());
    if (!manifest || manifest->events.empty()) {
      job_->fail(FetchProblem::BadAnswer,
                 shown(url) + (manifest ? ": names no event" : ": no MISP manifest"));
      return std::nullopt;
    }
    etag_ = reply.etag;
    last_modified_ = reply.last_modified;
    job_->answer.skipped = manifest->malformed;
    return manifest;
  }

  /// False: the fetch has failed and said so.
  bool take(const ManifestEvent &event) {
    const auto old = old_.find(event.uuid);
    const bool known = old != old_.end();
    if (known && old->second.timestamp >= event.timestamp) {
      return add(old->second.item);
    }
    const auto url = base_ + event.uuid + ".json" + query_;
    const auto reply = job_->client.get({url, {"Accept: application/json"}}, page_);
    std::optional<std::string> body;
    if (reply.good()) {
      body = read_misp_event(page_.text());
    } else if (reply.problem != FetchProblem::HttpStatus &&
               reply.problem != FetchProblem::TooLarge) {
      job_->fail(reply, url);
      return false;
    }
    if (!body) { // one event's fault: what we have of it stays, and the next round asks again
      ++job_->answer.skipped;
      return !known || add(old->second.item);
    }
    ++job_->answer.new_items;
    return add(item_of(event, *body));
  }

  bool add(std::string_view item) {
    if (!items_.add(item)) {
      job_->fail_to_write();
      return false;
    }
    return true;
  }

  void finish(const MispManifest &manifest) {
    auto &answer = job_->answer;
    if (items_.count() == 0) {
      return job_->fail(FetchProblem::BadAnswer, "none of " +
                                                     std::to_string(manifest.events.size()) +
                                                     " events could be fetched");
    }
    if (answer.skipped == 0) { // else the manifest must be read again
      answer.mark.etag = etag_;
      answer.mark.last_modified = last_modified_;
    }
    if (answer.new_items == 0 && have_previous_ && items_.count() == old_.size()) {
      answer.status = FetchStatus::Unchanged;
      return;
    }
    if (!items_.end()) {
      return job_->fail_to_write();
    }
    answer.items = items_.count();
    job_->succeed();
  }

  const FetchJob *job_;
  std::string base_, query_;
  ItemWriter items_;
  TextSink page_{kMaxPageBytes};
  std::map<std::string, OldEvent> old_;
  bool have_previous_ = false;
  std::string etag_, last_modified_;
};

} // namespace

void fetch_misp(const FetchJob &job) {
  Feed(job).fetch();
}

} // namespace outguard::fetch
