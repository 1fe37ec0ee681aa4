#include "intel/index_builder.h"

#include <algorithm>

#include "intel/url.h"

namespace outguard::intel {

namespace {

constexpr std::size_t kMaxSourceBytes = 1024; ///< sixteen of them fit one event
constexpr std::size_t kFirstSlots = 1024;
constexpr std::size_t kSlotsPerFilterWord = 16; ///< 8 bits a key or more: a million fit L2
constexpr std::size_t kSlotsAhead = 16;         ///< fetched while others are written

bool is_url_type(IndicatorType type) {
  return type == IndicatorType::Url || type == IndicatorType::UrlPath;
}

/// Whether the scope says more than the key itself.
bool is_wide(const FeedIndicator &given) {
  return (given.key.type == IndicatorType::Domain && given.scope == MatchScope::WithSubdomains) ||
         (is_url_type(given.key.type) && given.scope == MatchScope::Prefix);
}

Role role_of(const Record &record) {
  return static_cast<Role>(record.kind & ~kTypeBits);
}

bool is_possible(IndicatorType type, std::uint8_t prefix, std::string_view key) {
  const bool is_v4 = key.size() == 4;
  switch (type) {
  case IndicatorType::Address:
    return is_v4 || key.size() == 16;
  case IndicatorType::Network:
    return (is_v4 && prefix < 32) || (key.size() == 16 && prefix < 128);
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

IndexBuilder::IndexBuilder(HashSeed seed)
    : hash_(seed), seed_(seed), slots_(PageVector<Slot>::zeroed(kFirstSlots)),
      seen_(PageVector<FilterWord>::zeroed(kFirstSlots / kSlotsPerFilterWord)), abouts_(seed) {}

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
  const auto stored = stored_bytes(given.key.type, given.key.bytes, digest_);
  if (!stored || !is_possible(given.key.type, given.key.prefix, *stored)) {
    return Added::BadValue;
  }
  const auto key = *stored;
  if (entries_.size() >= kMaxRecords || arena_.size() + key.size() > UINT32_MAX) {
    return Added::Full;
  }
  Record record;
  record.key_bytes = static_cast<std::uint16_t>(key.size());
  record.source = source;
  record.line = line;
  record.kind = kind_of(role, given.key.type);
  record.prefix = given.key.prefix;
  record.confidence =
      given.confidence == 0 ? kListConfidence : std::min<std::uint8_t>(given.confidence, 100);
  record.flags = is_wide(given) ? Record::kWide : 0;
  record.valid_until = stored_time(given.valid_until);
  const auto hash = given.key.type == IndicatorType::Domain
                        ? hash_.of_domain(record.kind, key)
                        : hash_.of(record.kind, record.prefix, key);
  const auto head = may_be_known(hash) ? find_head(hash, record, key) : kNone;
  const auto added = head != kNone ? add_mention(head, record, given.about)
                                   : add_key(hash, key, record, given.about);
  const bool is_stored = added == Added::New || added == Added::Merged;
  if (is_stored && role != Role::Removed) {
    note_shape(role, given, key);
  }
  return added;
}

IndexBuilder::Added IndexBuilder::add_key(std::uint64_t hash, std::string_view key, Record record,
                                          const IndicatorAbout &about) {
  if (!tell(record, about)) {
    return Added::Full;
  }
  if (key.size() <= sizeof record.key) {
    std::memcpy(&record.key, key.data(), key.size());
  } else {
    record.key = static_cast<std::uint32_t>(arena_.size());
    arena_.append(key);
  }
  entries_.push_back({record, kNone, true, hash});
  see(hash);
  ++heads_;
  allowed_ += role_of(record) == Role::Allowed ? 1U : 0U;
  removed_ += role_of(record) == Role::Removed ? 1U : 0U;
  networks_v4_ += is_network_v4(record) ? 1U : 0U;
  if (heads_ * 2 > slots_.size()) {
    make_room();
  }
  return Added::New;
}

IndexBuilder::Added IndexBuilder::add_mention(std::uint32_t head, Record record,
                                              const IndicatorAbout &about) {
  std::uint32_t last = head;
  for (std::uint32_t at = head, mentions = 1; at != kNone; at = entries_[at].next, ++mentions) {
    auto &known = entries_[at].record;
    if (known.source == record.source &&
        ((known.flags | record.flags) & Record::kWide) == (known.flags & Record::kWide)) {
      widen_validity(known, record, about);
      return Added::Duplicate;
    }
    if (mentions == kMaxMentions) {
      return Added::Full;
    }
    last = at;
  }
  if (!tell(record, about)) {
    return Added::Full;
  }
  record.key = entries_[head].record.key;
  entries_.push_back({record, kNone, false, 0});
  entries_[last].next = static_cast<std::uint32_t>(entries_.size() - 1);
  return Added::Merged;
}

bool IndexBuilder::tell(Record &record, const IndicatorAbout &about) {
  const auto stored = abouts_.add(about);
  if (!stored) {
    return false;
  }
  record.about = *stored;
  record.flags = static_cast<std::uint8_t>((record.flags & ~Record::kHasBegin) |
                                           (begin_of(record) != 0 ? Record::kHasBegin : 0));
  return true;
}

std::uint32_t IndexBuilder::begin_of(const Record &record) const {
  return record.about == 0 ? 0 : abouts_.about(record.about).valid_from;
}

void IndexBuilder::widen_validity(Record &known, const Record &again, const IndicatorAbout &about) {
  if (known.valid_until != 0) {
    known.valid_until = again.valid_until == 0 ? 0 : std::max(known.valid_until, again.valid_until);
  }
  if (stored_time(about.valid_from) < begin_of(known)) {
    static_cast<void>(tell(known, about)); // no room: what was told of it stays
  }
}

std::string_view IndexBuilder::key_bytes(const Record &record) const {
  if (record.key_bytes <= sizeof record.key) {
    return {reinterpret_cast<const char *>(&record.key), record.key_bytes};
  }
  return {arena_.data() + record.key, record.key_bytes};
}

bool IndexBuilder::is_same_key(const Entry &entry, std::uint64_t hash, const Record &record,
                               std::string_view key) const {
  return entry.hash == hash && entry.record.kind == record.kind &&
         entry.record.prefix == record.prefix && key_bytes(entry.record) == key;
}

std::uint32_t IndexBuilder::find_head(std::uint64_t hash, const Record &record,
                                      std::string_view key) {
  fill_slots();
  auto slot = first_try(hash);
  for (; slots_[slot].record_plus_one != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    const auto head = slots_[slot].record_plus_one - 1;
    if (slots_[slot].fingerprint == fingerprint(hash) &&
        is_same_key(entries_[head], hash, record, key)) {
      return head;
    }
  }
  return kNone;
}

void IndexBuilder::fill_slots() {
  for (; slotted_ < entries_.size(); ++slotted_) {
    const auto ahead = std::min(slotted_ + kSlotsAhead, entries_.size() - 1);
    __builtin_prefetch(&slots_[first_try(entries_[ahead].hash)]);
    const auto &entry = entries_[slotted_];
    if (!entry.head) {
      continue;
    }
    auto slot = first_try(entry.hash);
    while (slots_[slot].record_plus_one != 0) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    slots_[slot] = {fingerprint(entry.hash), static_cast<std::uint32_t>(slotted_ + 1)};
  }
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
  } else if (is_url_type(type) && is_wide(given)) {
    url_lengths_.resize(kUrlLengthWords);
    url_lengths_[key.size() / 64] |= std::uint64_t{1} << (key.size() % 64);
    const auto authority = type == IndicatorType::Url ? url_authority(key) : std::string_view();
    const auto gate = hash_.of(kPrefixGate, static_cast<std::uint8_t>(type), authority);
    if (gates_.empty() || gates_.back() != gate) {
      gates_.push_back(gate);
    }
  }
}

void IndexBuilder::make_room() {
  slots_ = PageVector<Slot>::zeroed(slots_.size() * 2);
  slotted_ = 0;
  seen_ = PageVector<FilterWord>::zeroed(slots_.size() / kSlotsPerFilterWord);
  for (const auto &entry : entries_) {
    if (entry.head) {
      see(entry.hash);
    }
  }
}

} // namespace outguard::intel
