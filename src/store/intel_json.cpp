#include "store/intel_json.h"

#include "store/hit_object.h"

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

std::string hit_json(const IndicatorHit &hit) {
  return line(hit_object(hit));
}

std::string change_json(const std::string &change, const std::string &value,
                        const std::string &note) {
  return line({{"change", change}, {"value", text(value)}, {"note", text_or_null(note)}});
}

std::string stats_json(const IntelStats &stats, std::uint64_t added, std::uint64_t removed) {
  Json types = Json::object();
  for (const auto &type : stats.types) {
    types[to_string(type.type)] = type.count;
  }
  Json sources = Json::array();
  for (const auto &source : stats.sources) {
    sources.push_back({{"source", text(source.source)},
                       {"listed", source.listed},
                       {"alone", source.alone},
                       {"expired", source.expired}});
  }
  return line({{"indicators", stats.indicators},
               {"mentions", stats.mentions},
               {"allowed", stats.allowed},
               {"image_bytes", stats.image_bytes},
               {"expired", stats.expired},
               {"not_yet_valid", stats.not_yet_valid},
               {"with_end", stats.with_end},
               {"flagged", stats.flagged},
               {"types", std::move(types)},
               {"confidence", stats.confidence},
               {"sources", std::move(sources)},
               {"sources_left_out", stats.sources_left_out},
               {"added_by_hand", added},
               {"removed_by_hand", removed}});
}

} // namespace outguard::store
