#include "intel/index_builder.h"

#include <algorithm>
#include <bit>

namespace outguard::intel {

namespace {

/// Appends a section to the image and returns where it is.
template <class T>
Section append(std::vector<std::uint8_t> &image, const T *items, std::size_t count) {
  static_assert(std::is_trivially_copyable_v<T>);
  image.resize((image.size() + 7) / 8 * 8);
  const Section section{image.size(), count};
  const auto *raw = reinterpret_cast<const std::uint8_t *>(items);
  image.insert(image.end(), raw, raw + count * sizeof(T));
  return section;
}

bool add_to_slots(std::vector<Slot> &slots, std::uint64_t hash, std::uint32_t record) {
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe) {
    auto &slot = slots[(hash + probe) & (slots.size() - 1)];
    if (slot.record_plus_one == 0) {
      slot = {fingerprint(hash), record + 1};
      return true;
    }
  }
  return false;
}

} // namespace

std::optional<SourceId> IndexBuilder::add_source(std::string_view name) {
  if (sources_.size() >= kMaxSources || arena_.size() + name.size() > UINT32_MAX) {
    return std::nullopt;
  }
  sources_.push_back(
      {static_cast<std::uint32_t>(arena_.size()), static_cast<std::uint32_t>(name.size())});
  arena_ += name;
  return static_cast<SourceId>(sources_.size() - 1);
}

IndexBuilder::Added IndexBuilder::add(const IndicatorKey &key, const Mention &mention) {
  if (entries_.size() >= kMaxRecords || arena_.size() + key.bytes.size() > UINT32_MAX ||
      key.bytes.size() > UINT16_MAX) {
    return Added::Full;
  }
  Record record;
  record.key_bytes = static_cast<std::uint16_t>(key.bytes.size());
  record.source = mention.source;
  record.line = mention.line;
  record.type = static_cast<std::uint8_t>(key.type);
  record.prefix = key.prefix;
  record.confidence = mention.confidence;
  record.flags = mention.scope == DomainScope::WithSubdomains ? Record::kWithSubdomains : 0;
  record.valid_until = mention.valid_until;

  const auto hash = hash_.of(key.type, key.prefix, key.bytes);
  const auto slot = find_slot(hash, key);
  if (slots_[slot].record_plus_one != 0) {
    return add_mention(slots_[slot].record_plus_one - 1, record);
  }
  record.key_offset = static_cast<std::uint32_t>(arena_.size());
  arena_ += key.bytes;
  entries_.push_back({record, hash, kNone, true});
  slots_[slot] = {fingerprint(hash), static_cast<std::uint32_t>(entries_.size())};
  ++heads_;
  note_prefix(key);
  if (heads_ * 2 > slots_.size()) {
    grow();
  }
  return Added::New;
}

IndexBuilder::Added IndexBuilder::add_mention(std::uint32_t head, const Record &record) {
  std::uint32_t last = head;
  for (std::uint32_t at = head, mentions = 1; at != kNone; at = entries_[at].next, ++mentions) {
    const auto &known = entries_[at].record;
    if (known.source == record.source && (known.flags | record.flags) == known.flags) {
      return Added::Duplicate;
    }
    if (mentions == kMaxMentions) {
      return Added::Full;
    }
    last = at;
  }
  entries_.push_back({record, 0, kNone, false});
  entries_.back().record.key_offset = entries_[head].record.key_offset;
  entries_[last].next = static_cast<std::uint32_t>(entries_.size() - 1);
  return Added::Merged;
}

std::string_view IndexBuilder::key_bytes(const Record &record) const {
  return std::string_view(arena_).substr(record.key_offset, record.key_bytes);
}

bool IndexBuilder::is_same_key(const Entry &entry, std::uint64_t hash,
                               const IndicatorKey &key) const {
  return entry.hash == hash && entry.record.type == static_cast<std::uint8_t>(key.type) &&
         entry.record.prefix == key.prefix && key_bytes(entry.record) == key.bytes;
}

std::size_t IndexBuilder::find_slot(std::uint64_t hash, const IndicatorKey &key) const {
  std::size_t slot = hash & (slots_.size() - 1);
  const auto belongs_here = [&](const Slot &at) {
    return at.record_plus_one == 0 || (at.fingerprint == fingerprint(hash) &&
                                       is_same_key(entries_[at.record_plus_one - 1], hash, key));
  };
  while (!belongs_here(slots_[slot])) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

void IndexBuilder::note_prefix(const IndicatorKey &key) {
  if (key.type != IndicatorType::Network) {
    return;
  }
  auto &word = key.bytes.size() == 4 ? prefixes_v4_ : prefixes_v6_[key.prefix / 64];
  word |= std::uint64_t{1} << (key.prefix % 64);
}

void IndexBuilder::grow() {
  slots_.assign(slots_.size() * 2, Slot{});
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    if (!entries_[i].head) {
      continue;
    }
    std::size_t slot = entries_[i].hash & (slots_.size() - 1);
    while (slots_[slot].record_plus_one != 0) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    slots_[slot] = {fingerprint(entries_[i].hash), i + 1};
  }
}

std::vector<FilterWord> IndexBuilder::make_filter() const {
  // 8 to 16 bits a key.
  std::vector<FilterWord> filter(std::bit_ceil(std::max<std::size_t>(heads_ / 8, 1)));
  for (const auto &entry : entries_) {
    if (entry.head) {
      filter[filter_word(entry.hash, filter.size())] |= filter_bits(entry.hash);
    }
  }
  return filter;
}

bool IndexBuilder::lay_out(std::vector<Record> &records, std::vector<Slot> &slots) const {
  records.reserve(entries_.size());
  for (const auto &entry : entries_) {
    if (!entry.head) {
      continue;
    }
    if (!add_to_slots(slots, entry.hash, static_cast<std::uint32_t>(records.size()))) {
      return false;
    }
    records.push_back(entry.record);
    for (auto at = entry.next; at != kNone; at = entries_[at].next) {
      records.back().flags |= Record::kMoreFollow;
      records.push_back(entries_[at].record);
    }
  }
  return true;
}

Result<std::vector<std::uint8_t>> IndexBuilder::build() const {
  std::vector<Record> records;
  std::vector<Slot> slots(slots_.size());
  if (!lay_out(records, slots)) {
    return fail(ErrorCode::LimitReached, "indicators collide in the index: try again");
  }
  const auto filter = make_filter();
  std::vector<std::uint8_t> image(sizeof(ImageHeader));
  image.reserve(image.size() + filter.size() * sizeof(FilterWord) + slots.size() * sizeof(Slot) +
                records.size() * sizeof(Record) + sources_.size() * sizeof(SourceName) +
                arena_.size() + 64);
  ImageHeader header;
  header.header_bytes = sizeof(ImageHeader);
  header.seed = seed_;
  header.indicators = heads_;
  header.prefixes_v4 = prefixes_v4_;
  header.prefixes_v6 = prefixes_v6_;
  header.filter = append(image, filter.data(), filter.size());
  header.slots = append(image, slots.data(), slots.size());
  header.records = append(image, records.data(), records.size());
  header.sources = append(image, sources_.data(), sources_.size());
  header.arena = append(image, arena_.data(), arena_.size());
  header.image_bytes = image.size();
  const auto write_header = [&] { std::memcpy(image.data(), &header, sizeof header); };
  write_header();
  header.checksum = image_checksum({reinterpret_cast<const char *>(image.data()), image.size()});
  write_header();
  return image;
}

} // namespace outguard::intel
