#include "intel/index_builder.h"

#include <algorithm>
#include <bit>
#include <span>

#include "intel/url.h"

namespace outguard::intel {

namespace {

constexpr std::size_t kMaxSourceBytes = 1024; ///< sixteen of them fit one event

/// Appends a section to the image and returns where it is.
template <class Items> Section append(std::vector<std::uint8_t> &image, const Items &items) {
  using T = typename Items::value_type;
  static_assert(std::is_trivially_copyable_v<T>);
  image.resize((image.size() + 7) / 8 * 8);
  const Section section{image.size(), items.size()};
  const auto *raw = reinterpret_cast<const std::uint8_t *>(items.data());
  image.insert(image.end(), raw, raw + items.size() * sizeof(T));
  return section;
}

bool add_to_slots(std::vector<Slot> &slots, std::uint64_t hash, std::uint32_t record) {
  auto at = first_slot(hash, slots.size());
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe) {
    if (slots[at].record_plus_one == 0) {
      slots[at] = {fingerprint(hash), record + 1};
      return true;
    }
    at = at + 1 == slots.size() ? 0 : at + 1;
  }
  return false;
}

bool is_url_type(IndicatorType type) {
  return type == IndicatorType::Url || type == IndicatorType::UrlPath;
}

/// Whether the scope says more than the key itself.
bool is_wide(const FeedIndicator &given) {
  return (given.key.type == IndicatorType::Domain && given.scope == MatchScope::WithSubdomains) ||
         (is_url_type(given.key.type) && given.scope == MatchScope::Prefix);
}

bool is_possible(const FeedIndicator &given, std::string_view key) {
  const auto &type = given.key.type;
  const bool is_v4 = key.size() == 4;
  switch (type) {
  case IndicatorType::Address:
    return is_v4 || key.size() == 16;
  case IndicatorType::Network:
    return (is_v4 && given.key.prefix < 32) || (key.size() == 16 && given.key.prefix < 128);
  case IndicatorType::Endpoint:
    return key.size() == 6 || key.size() == 18;
  case IndicatorType::Url:
  case IndicatorType::UrlPath:
    return !key.empty() && key.size() < kUrlLengthWords * 64 &&
           key.find('/') != std::string_view::npos;
  default:
    return key.size() <= UINT16_MAX;
  }
}

} // namespace

std::optional<SourceId> IndexBuilder::add_source(std::string_view name) {
  const auto text =
      sources_.size() < kMaxSources ? abouts_.add_text(name, kMaxSourceBytes) : std::nullopt;
  if (!text) {
    return std::nullopt;
  }
  sources_.push_back(*text);
  return static_cast<SourceId>(sources_.size() - 1);
}

std::size_t IndexBuilder::count(Role role) const {
  switch (role) {
  case Role::Allowed:
    return allowed_;
  case Role::Removed:
    return removed_;
  case Role::Indicator:
    break;
  }
  return heads_ - allowed_ - removed_;
}

IndexBuilder::Added IndexBuilder::add(const FeedIndicator &given, SourceId source,
                                      std::uint32_t line, Role role) {
  DigestBytes scratch;
  const auto key = stored_bytes(given.key.type, given.key.bytes, scratch);
  if (!key || !is_possible(given, *key)) {
    return Added::BadValue;
  }
  if (entries_.size() >= kMaxRecords || arena_.size() + key->size() > UINT32_MAX) {
    return Added::Full;
  }
  Record record;
  record.key_bytes = static_cast<std::uint16_t>(key->size());
  record.source = source;
  record.line = line;
  record.kind = kind_of(role, given.key.type);
  record.prefix = given.key.prefix;
  record.confidence =
      given.confidence == 0 ? kListConfidence : std::min<std::uint8_t>(given.confidence, 100);
  record.flags = is_wide(given) ? Record::kWide : 0;
  record.valid_until = stored_time(given.valid_until);
  const auto about = abouts_.add(given.about);
  if (!about) {
    return Added::Full;
  }
  record.about = *about;
  if (record.about != 0 && abouts_.about(record.about).valid_from != 0) {
    record.flags |= Record::kHasBegin;
  }

  const auto hash = given.key.type == IndicatorType::Domain
                        ? hash_.of_domain(record.kind, *key)
                        : hash_.of(record.kind, record.prefix, *key);
  const auto slot = find_slot(hash, record, *key);
  if (role == Role::Indicator || role == Role::Allowed) {
    note_shape(role, given, *key);
  }
  if (slots_[slot].record_plus_one != 0) {
    return add_mention(slots_[slot].record_plus_one - 1, record);
  }
  if (key->size() <= sizeof record.key) {
    std::memcpy(&record.key, key->data(), key->size());
  } else {
    record.key = static_cast<std::uint32_t>(arena_.size());
    arena_ += *key;
  }
  entries_.push_back({record, kNone, true, hash});
  slots_[slot] = {fingerprint(hash), static_cast<std::uint32_t>(entries_.size())};
  ++heads_;
  allowed_ += role == Role::Allowed ? 1 : 0;
  removed_ += role == Role::Removed ? 1 : 0;
  networks_v4_ +=
      role == Role::Indicator && given.key.type == IndicatorType::Network && key->size() == 4;
  if (heads_ * 2 > slots_.size()) {
    grow();
  }
  return Added::New;
}

IndexBuilder::Added IndexBuilder::add_mention(std::uint32_t head, const Record &record) {
  std::uint32_t last = head;
  for (std::uint32_t at = head, mentions = 1; at != kNone; at = entries_[at].next, ++mentions) {
    auto &known = entries_[at].record;
    if (known.source == record.source &&
        ((known.flags | record.flags) & Record::kWide) == (known.flags & Record::kWide)) {
      widen_validity(known, record);
      return Added::Duplicate;
    }
    if (mentions == kMaxMentions) {
      return Added::Full;
    }
    last = at;
  }
  entries_.push_back({record, kNone, false, 0});
  entries_.back().record.key = entries_[head].record.key;
  entries_[last].next = static_cast<std::uint32_t>(entries_.size() - 1);
  return Added::Merged;
}

void IndexBuilder::widen_validity(Record &known, const Record &again) const {
  if (known.valid_until != 0) {
    known.valid_until = again.valid_until == 0 ? 0 : std::max(known.valid_until, again.valid_until);
  }
  const auto begin = [&](const Record &record) {
    return (record.flags & Record::kHasBegin) != 0 ? abouts_.about(record.about).valid_from : 0;
  };
  if (begin(again) < begin(known)) {
    known.about = again.about;
    known.flags = static_cast<std::uint8_t>((known.flags & ~Record::kHasBegin) |
                                            (again.flags & Record::kHasBegin));
  }
}

std::string_view IndexBuilder::key_bytes(const Record &record) const {
  if (record.key_bytes <= sizeof record.key) {
    return {reinterpret_cast<const char *>(&record.key), record.key_bytes};
  }
  return std::string_view(arena_).substr(record.key, record.key_bytes);
}

bool IndexBuilder::is_same_key(const Entry &entry, std::uint64_t hash, const Record &record,
                               std::string_view key) const {
  return entry.hash == hash && entry.record.kind == record.kind &&
         entry.record.prefix == record.prefix && key_bytes(entry.record) == key;
}

std::size_t IndexBuilder::find_slot(std::uint64_t hash, const Record &record,
                                    std::string_view key) const {
  std::size_t slot = hash >> 32 & (slots_.size() - 1);
  const auto belongs_here = [&](const Slot &at) {
    return at.record_plus_one == 0 ||
           (at.fingerprint == fingerprint(hash) &&
            is_same_key(entries_[at.record_plus_one - 1], hash, record, key));
  };
  while (!belongs_here(slots_[slot])) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

void IndexBuilder::note_shape(Role role, const FeedIndicator &given, std::string_view key) {
  const auto type = given.key.type;
  if (role == Role::Indicator) {
    types_ |= std::uint64_t{1} << static_cast<unsigned>(type);
  }
  if (type == IndicatorType::Network) {
    auto &lengths = role == Role::Allowed ? allowed_networks_ : networks_;
    auto &word = key.size() == 4 ? lengths.v4 : lengths.v6[given.key.prefix / 64];
    word |= std::uint64_t{1} << (given.key.prefix % 64);
  } else if (type == IndicatorType::Domain) {
    domain_labels_ |=
        label_bit(static_cast<std::size_t>(std::count(key.begin(), key.end(), '.')) + 1);
  } else if (is_url_type(type) && is_wide(given) && role == Role::Indicator) {
    url_lengths_.resize(kUrlLengthWords);
    url_lengths_[key.size() / 64] |= std::uint64_t{1} << (key.size() % 64);
    const auto authority = type == IndicatorType::Url ? url_authority(key) : std::string_view();
    const auto gate = hash_.of(kPrefixGate, static_cast<std::uint8_t>(type), authority);
    if (gates_.empty() || gates_.back() != gate) {
      gates_.push_back(gate);
    }
  }
}

void IndexBuilder::grow() {
  slots_.assign(slots_.size() * 2, Slot{});
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    if (!entries_[i].head) {
      continue;
    }
    std::size_t slot = entries_[i].hash >> 32 & (slots_.size() - 1);
    while (slots_[slot].record_plus_one != 0) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    slots_[slot] = {fingerprint(entries_[i].hash), i + 1};
  }
}

std::vector<FilterWord> IndexBuilder::make_filter() const {
  std::vector<FilterWord> filter((heads_ + gates_.size()) * kFilterBitsPerKey / 64 + 1);
  const auto add = [&](std::uint64_t hash) {
    filter[filter_word(hash, filter.size())] |= filter_bits(hash);
  };
  for (const auto &entry : entries_) {
    if (entry.head) {
      add(entry.hash);
    }
  }
  for (const auto gate : gates_) {
    add(gate);
  }
  return filter;
}

std::vector<std::uint32_t> IndexBuilder::make_lengths_v4() const {
  const bool many = networks_v4_ >= kLengthsManyFrom;
  std::vector<std::uint32_t> lengths(many ? kLengthsMany : kLengthsFew);
  const unsigned bits = many ? 16 : 8; // of the address that choose the element
  for (const auto &[record, next, head, hash] : entries_) {
    if (!head || record.kind != kind_of(Role::Indicator, IndicatorType::Network) ||
        record.key_bytes != 4) {
      continue;
    }
    const std::size_t first = __builtin_bswap32(record.key) >> (32 - bits);
    const std::size_t covered = record.prefix < bits ? std::size_t{1} << (bits - record.prefix) : 1;
    for (auto at = first; at < std::min(first + covered, lengths.size()); ++at) {
      lengths[at] |= std::uint32_t{1} << record.prefix;
    }
  }
  return lengths;
}

bool IndexBuilder::lay_out(std::vector<Record> &records, std::vector<Slot> &slots) const {
  records.reserve(entries_.size());
  for (const auto &entry : entries_) {
    if (!entry.head) {
      continue;
    }
    const auto first = records.size();
    if (!add_to_slots(slots, entry.hash, static_cast<std::uint32_t>(first))) {
      return false;
    }
    records.push_back(entry.record);
    for (auto at = entry.next; at != kNone; at = entries_[at].next) {
      records.push_back(entries_[at].record);
    }
    const auto mentions = std::span(records).subspan(first);
    if (mentions.size() > 1) {
      std::stable_sort(mentions.begin(), mentions.end(), [](const Record &a, const Record &b) {
        return a.confidence > b.confidence;
      });
      for (auto &mention : mentions.first(mentions.size() - 1)) {
        mention.flags |= Record::kMoreFollow;
      }
    }
  }
  return true;
}

Result<std::vector<std::uint8_t>> IndexBuilder::build() const {
  std::vector<Record> records;
  std::vector<Slot> slots(heads_ * 5 / 3 + 1);
  if (!lay_out(records, slots)) {
    return fail(ErrorCode::LimitReached, "indicators collide in the index: try again");
  }
  const auto filter = make_filter();
  const auto lengths_v4 = make_lengths_v4();
  std::vector<std::uint8_t> image(sizeof(ImageHeader));
  image.reserve(image.size() + filter.size() * sizeof(FilterWord) + slots.size() * sizeof(Slot) +
                records.size() * sizeof(Record) + abouts_.abouts().size() * sizeof(About) +
                abouts_.tags().size() * 4 + sources_.size() * sizeof(SourceName) +
                lengths_v4.size() * 4 + url_lengths_.size() * 8 + arena_.size() +
                abouts_.texts().size() + 128);
  ImageHeader header;
  header.header_bytes = sizeof(ImageHeader);
  header.seed = seed_;
  header.indicators = count(Role::Indicator);
  header.allowed = allowed_;
  header.removed = removed_;
  header.networks = networks_;
  header.allowed_networks = allowed_networks_;
  header.domain_labels = domain_labels_;
  header.types = types_;
  header.filter = append(image, filter);
  header.slots = append(image, slots);
  header.records = append(image, records);
  header.abouts = append(image, abouts_.abouts());
  header.tags = append(image, abouts_.tags());
  header.sources = append(image, sources_);
  header.lengths_v4 = append(image, lengths_v4);
  header.url_lengths = append(image, url_lengths_);
  header.arena = append(image, arena_);
  header.texts = append(image, abouts_.texts());
  header.image_bytes = image.size();
  const std::string_view bytes(reinterpret_cast<const char *>(image.data()), image.size());
  header.content_checksum = bytes_checksum(bytes.substr(sizeof header));
  header.checksum = header_checksum(header);
  std::memcpy(image.data(), &header, sizeof header);
  return image;
}

} // namespace outguard::intel
