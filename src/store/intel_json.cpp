#include "store/intel_json.h"

#include "store/json_value.h"

namespace outguard::store {

std::string feed_json(const FeedReport &feed) {
  Json reasons = Json::object();
  for (const auto &reason : feed.reasons) {
    reasons[reason.reason] = reason.count;
  }
  Json ignored = Json::object();
  for (const auto &kind : feed.ignored_kinds) {
    ignored[kind.reason] = kind.count;
  }
  Json rejects = Json::array();
  for (const auto &reject : feed.lines) {
    rejects.push_back(
        {{"line", reject.line}, {"reason", reject.reason}, {"text", reject.text.printable()}});
  }
  return line({{"feed", GuestText(feed.name).printable()},
               {"format", text_or_null(feed.format)},
               {"problem", text_or_null(feed.problem)},
               {"note", text_or_null(feed.note)},
               {"accepted", feed.accepted},
               {"duplicates", feed.duplicates},
               {"rejected", feed.rejected},
               {"comments", feed.comments},
               {"flagged", feed.flagged},
               {"ignored", feed.ignored},
               {"reasons", std::move(reasons)},
               {"ignored_kinds", std::move(ignored)},
               {"rejects", std::move(rejects)}});
}

std::string intel_json(const IntelReport &totals) {
  return line({{"indicators", totals.indicators},
               {"image_bytes", totals.image_bytes},
               {"build_us", totals.build_ns / 1000},
               {"problem", text_or_null(totals.problem)}});
}

namespace {

Json time_or_null(std::int64_t seconds) {
  return seconds == 0 ? Json() : Json(seconds);
}

Json hit_object(const IndicatorHit &hit) {
  Json tags = Json::array();
  for (const auto &tag : hit.tags) {
    tags.push_back(text(tag));
  }
  return {{"type", to_string(hit.type)},
          {"value", hit.value.printable()},
          {"source", hit.source.printable()},
          {"line", hit.source_line},
          {"id", text_or_null(hit.id)},
          {"about", text_or_null(hit.about)},
          {"tags", std::move(tags)},
          {"tlp", text_or_null(std::string(to_string(hit.tlp)))},
          {"confidence", hit.confidence},
          {"severity", hit.severity == 0 ? Json() : Json(hit.severity)},
          {"first_seen", time_or_null(hit.first_seen)},
          {"last_seen", time_or_null(hit.last_seen)},
          {"valid_from", time_or_null(hit.valid_from)},
          {"valid_until", time_or_null(hit.valid_until)},
          {"looked_up", hit.observed_value.printable()}};
}

} // namespace

std::string hit_json(const IndicatorHit &hit) {
  return line(hit_object(hit));
}

std::string explained_json(const IndicatorExplained &explained) {
  Json object = hit_object(explained.hit);
  object["state"] = to_string(explained.state);
  Json sources = Json::array();
  for (const auto &source : explained.sources) {
    sources.push_back(text(source));
  }
  object["sources"] = std::move(sources);
  return line(object);
}

std::string allowed_json(const AllowEntry &entry) {
  return line({{"allowed_by", entry.value.printable()},
               {"comment", text_or_null(entry.comment)},
               {"source", entry.source.printable()},
               {"line", entry.line},
               {"valid_until", time_or_null(entry.valid_until)}});
}

} // namespace outguard::store
