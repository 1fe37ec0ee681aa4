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

std::string hit_json(const IndicatorHit &hit) {
  return line({{"type", to_string(hit.type)},
               {"value", hit.value.printable()},
               {"source", hit.source.printable()},
               {"line", hit.source_line},
               {"confidence", hit.confidence},
               {"valid_until", hit.valid_until == 0 ? Json() : Json(hit.valid_until)},
               {"looked_up", hit.observed_value.printable()}});
}

} // namespace outguard::store
