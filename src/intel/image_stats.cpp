// IntelImage::stats(), one pass over all records, and IntelSet::stats().
#include <vector>

#include "intel/feed_indicator.h"
#include "intel/intel_set.h"

namespace outguard::intel {

namespace {

constexpr std::string_view kFlag = "warninglist:";
constexpr std::size_t kTypes = static_cast<std::size_t>(IndicatorType::FileSha256) + 1;

void keep_longest(IntelStats &stats) {
  auto &sources = stats.sources;
  std::erase_if(sources, [](const SourceCount &source) { return source.listed == 0; });
  std::stable_sort(sources.begin(), sources.end(),
                   [](const auto &a, const auto &b) { return a.listed > b.listed; });
  if (sources.size() > IntelStats::kMostSources) {
    stats.sources_left_out += sources.size() - IntelStats::kMostSources;
    sources.resize(IntelStats::kMostSources);
  }
}

void add_types(std::vector<TypeCount> &types, const std::vector<TypeCount> &more) {
  for (const auto &one : more) {
    const auto at = std::lower_bound(types.begin(), types.end(), one.type,
                                     [](const auto &a, auto type) { return a.type < type; });
    if (at != types.end() && at->type == one.type) {
      at->count += one.count;
    } else {
      types.insert(at, one);
    }
  }
}

/// No indicator is in both.
void add(IntelStats &all, const IntelStats &more) {
  for (const auto count :
       {&IntelStats::indicators, &IntelStats::mentions, &IntelStats::allowed,
        &IntelStats::image_bytes, &IntelStats::expired, &IntelStats::not_yet_valid,
        &IntelStats::with_end, &IntelStats::flagged, &IntelStats::sources_left_out}) {
    all.*count += more.*count;
  }
  add_types(all.types, more.types);
  for (std::size_t step = 0; step < IntelStats::kConfidenceSteps; ++step) {
    all.confidence[step] += more.confidence[step];
  }
  all.sources.insert(all.sources.end(), more.sources.begin(), more.sources.end());
  keep_longest(all);
}

} // namespace

/// For each About: does it have the tag of a warninglist? They are few beside the records.
std::vector<bool> IntelImage::flagged_abouts() const {
  std::vector<bool> flagged(header_.abouts.count);
  for (std::uint64_t i = 0; i < flagged.size(); ++i) {
    const auto said = element_unchecked<About>(header_.abouts, i);
    for (std::uint64_t tag = 0; tag < std::min<std::size_t>(said.tag_count, kMaxTags); ++tag) {
      const auto at = element<std::uint32_t>(header_.tags, said.first_tag + tag).value_or(0);
      flagged[i] = flagged[i] || text(at).raw().starts_with(kFlag);
    }
  }
  return flagged;
}

IntelStats IntelImage::stats(Seconds now, const std::function<bool(IndicatorId)> &skip) const {
  IntelStats stats;
  stats.allowed = header_.allowed;
  stats.image_bytes = header_.image_bytes;
  stats.confidence.resize(IntelStats::kConfidenceSteps);
  std::vector<std::uint64_t> types(kTypes);
  stats.sources.resize(header_.sources.count);
  for (std::uint64_t i = 0; i < stats.sources.size(); ++i) {
    stats.sources[i].source = text(element_unchecked<SourceName>(header_.sources, i));
  }
  const auto flagged = flagged_abouts();
  // Mentions of one key stand together, the surest first.
  for (std::uint64_t i = 0; i < header_.records.count;) {
    const auto first = element_unchecked<Record>(header_.records, i);
    const bool is_indicator =
        first.kind < kTypes && !(skip && skip(IndicatorId{static_cast<std::uint32_t>(i)}));
    bool is_valid = false, is_early = false, ends = false, is_flagged = false;
    auto record = first;
    for (const auto begin = i;;) {
      const bool more = (record.flags & Record::kMoreFollow) != 0 && i + 1 < header_.records.count;
      if (is_indicator) {
        const auto how = state(record, now);
        is_valid = is_valid || how == IndicatorState::Matches;
        is_early = is_early || how == IndicatorState::NotYetValid;
        ends = ends || record.valid_until != 0;
        is_flagged = is_flagged || (record.about != 0 && record.about <= flagged.size() &&
                                    flagged[record.about - 1]);
        ++stats.mentions;
        if (record.source < stats.sources.size()) {
          auto &source = stats.sources[record.source];
          ++source.listed;
          source.alone += i == begin && !more ? 1 : 0;
          source.expired += how == IndicatorState::Expired ? 1 : 0;
        }
      }
      ++i;
      if (!more) {
        break;
      }
      record = element_unchecked<Record>(header_.records, i);
    }
    if (!is_indicator) {
      continue;
    }
    ++stats.indicators;
    ++types[first.kind];
    ++stats.confidence[std::min<std::size_t>(first.confidence / 10,
                                             IntelStats::kConfidenceSteps - 1)];
    stats.not_yet_valid += !is_valid && is_early ? 1 : 0;
    stats.expired += !is_valid && !is_early ? 1 : 0;
    stats.with_end += ends ? 1 : 0;
    stats.flagged += is_flagged ? 1 : 0;
  }
  for (std::size_t type = 0; type < kTypes; ++type) {
    if (types[type] != 0) {
      stats.types.push_back({static_cast<IndicatorType>(type), types[type]});
    }
  }
  keep_longest(stats);
  return stats;
}

IntelStats IntelSet::stats(Seconds now) const {
  if (delta_ == nullptr) {
    return base_->stats(now);
  }
  auto all = base_->stats(now, [this](IndicatorId id) { return is_overridden(id); });
  add(all, delta_->stats(now));
  return all;
}

} // namespace outguard::intel
