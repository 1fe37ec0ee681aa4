#include "intel/intel_image.h"

#include "intel/feed_indicator.h"

namespace outguard::intel {

namespace {

tl::unexpected<Error> refuse(const std::string &why) {
  return fail(ErrorCode::InvalidInput, "intelligence image: " + why);
}

bool is_inside(const Section &section, std::size_t element_bytes, std::uint64_t image_bytes) {
  return section.offset % 8 == 0 && section.offset >= sizeof(ImageHeader) &&
         section.offset <= image_bytes &&
         section.count <= (image_bytes - section.offset) / element_bytes;
}

/// What is wrong with the section table; nullptr if nothing.
const char *bad_section(const ImageHeader &header) {
  const auto inside = [&](const Section &section, std::size_t element_bytes) {
    return is_inside(section, element_bytes, header.image_bytes);
  };
  // Elements of the first and of the two tables of lengths are read without a further check.
  if (!inside(header.filter, sizeof(FilterWord)) || header.filter.count == 0) {
    return "filter";
  }
  if (!inside(header.slots, sizeof(Slot)) || header.slots.count == 0) {
    return "slots";
  }
  if (!inside(header.records, sizeof(Record)) || header.records.count > kMaxRecords) {
    return "records";
  }
  if (!inside(header.abouts, sizeof(About)) || !inside(header.tags, sizeof(std::uint32_t))) {
    return "abouts";
  }
  if (!inside(header.sources, sizeof(SourceName)) || header.sources.count > kMaxSources) {
    return "sources";
  }
  const auto either = [](const Section &section, std::size_t one, std::size_t other) {
    return section.count == one || section.count == other;
  };
  if (!inside(header.lengths_v4, sizeof(std::uint32_t)) ||
      !either(header.lengths_v4, kLengthsFew, kLengthsMany) ||
      !inside(header.url_lengths, sizeof(std::uint64_t)) ||
      !either(header.url_lengths, 0, kUrlLengthWords)) {
    return "lengths";
  }
  return inside(header.arena, 1) && inside(header.texts, 1) ? nullptr : "texts";
}

constexpr IndicatorType kFingerprints[] = {
    IndicatorType::Ja3,      IndicatorType::Ja4,
    IndicatorType::Hassh,    IndicatorType::CertificateSha1,
    IndicatorType::FileMd5,  IndicatorType::CertificateSha256,
    IndicatorType::FileSha1, IndicatorType::FileSha256,
};

/// A path, which somebody asks for by itself, as one of a host that nobody lists.
std::string with_host(std::string_view value) {
  return std::string(value.starts_with('/') ? "host.invalid" : "").append(value);
}

} // namespace

Result<IntelImage> IntelImage::open(std::span<const std::uint8_t> bytes) {
  ImageHeader header;
  if (bytes.size() < sizeof header) {
    return refuse("too short, " + std::to_string(bytes.size()) + " bytes");
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kImageMagic) {
    return refuse("not such a file (wrong magic)");
  }
  if (header.version != kImageVersion || header.header_bytes != sizeof header) {
    return refuse("version " + std::to_string(header.version) + ", this program reads version " +
                  std::to_string(kImageVersion));
  }
  if (header.image_bytes != bytes.size()) {
    return refuse("cut off or grown: " + std::to_string(bytes.size()) + " bytes, should be " +
                  std::to_string(header.image_bytes));
  }
  if (header_checksum(header) != header.checksum) {
    return refuse("damaged (wrong checksum of the header)");
  }
  if (const auto *section = bad_section(header)) {
    return refuse(std::string("damaged (bad section: ") + section + ")");
  }
  return IntelImage(bytes, header);
}

Result<void> IntelImage::verify(const PartRead &done) const {
  constexpr std::size_t kPart = std::size_t{1} << 20;
  static_assert(kPart % ContentChecksum::kBlockBytes == 0);
  ContentChecksum checksum;
  auto left = bytes_.subspan(sizeof(ImageHeader));
  while (!left.empty()) {
    const auto part = left.first(std::min(kPart, left.size()));
    left = left.subspan(part.size());
    checksum.add({reinterpret_cast<const char *>(part.data()), part.size()});
    if (done && !left.empty()) {
      done(part);
    }
  }
  return checksum.value() == header_.content_checksum ? Result<void>()
                                                      : refuse("damaged (wrong checksum)");
}

IntelImage::IntelImage(std::span<const std::uint8_t> bytes, const ImageHeader &header)
    : bytes_(bytes), header_(header), hash_(header.seed) {}

// ---- Parts of the image -----------------------------------------------------------------

std::string_view IntelImage::key_bytes(const Record &record) const {
  if (record.key_bytes <= sizeof record.key) {
    return {reinterpret_cast<const char *>(&record.key), record.key_bytes};
  }
  const auto &arena = header_.arena;
  if (record.key > arena.count || record.key_bytes > arena.count - record.key) {
    return {};
  }
  const auto *start = bytes_.data() + arena.offset + record.key;
  return {reinterpret_cast<const char *>(start), record.key_bytes};
}

GuestText IntelImage::text(std::uint32_t offset) const {
  std::uint16_t size = 0;
  const auto &texts = header_.texts;
  if (offset == 0 || texts.count < sizeof size || offset > texts.count - sizeof size) {
    return {};
  }
  const auto *start = bytes_.data() + texts.offset + offset;
  std::memcpy(&size, start, sizeof size);
  if (size > texts.count - sizeof size - offset) {
    return {};
  }
  return GuestText(std::string(reinterpret_cast<const char *>(start + sizeof size), size));
}

GuestText IntelImage::source_name(const Record &record) const {
  return text(element<SourceName>(header_.sources, record.source).value_or(0));
}

std::optional<About> IntelImage::about(const Record &record) const {
  return record.about == 0 ? std::nullopt : element<About>(header_.abouts, record.about - 1);
}

std::optional<Record> IntelImage::indicator(IndicatorId id) const {
  constexpr auto kLast = static_cast<std::uint8_t>(IndicatorType::FileSha256);
  const auto record = element<Record>(header_.records, static_cast<std::uint32_t>(id));
  return record && record->kind <= kLast ? record : std::nullopt;
}

IndicatorState IntelImage::state(const Record &record, Seconds now) const {
  if (now == kAnyTime) {
    return IndicatorState::Matches;
  }
  if (record.valid_until != 0 && now >= record.valid_until) {
    return IndicatorState::Expired;
  }
  if ((record.flags & Record::kHasBegin) == 0) {
    return IndicatorState::Matches;
  }
  const auto said = about(record);
  return said && now >= said->valid_from ? IndicatorState::Matches : IndicatorState::NotYetValid;
}

// ---- Look-ups ---------------------------------------------------------------------------

std::array<std::uint64_t, 2> IntelImage::lengths_around(Role role, const IpAddress &address) const {
  const auto &all = role == Role::Allowed ? header_.allowed_networks : header_.networks;
  if (address.family == IpFamily::V6) {
    return all.v6;
  }
  if (role != Role::Indicator) {
    return {all.v4 & UINT32_MAX, 0};
  }
  const auto front = static_cast<std::size_t>(address.bytes[0] << 8 | address.bytes[1]);
  const auto at = header_.lengths_v4.count == kLengthsMany ? front : front >> 8;
  return {element_unchecked<std::uint32_t>(header_.lengths_v4, at), 0};
}

std::optional<IndicatorId> IntelImage::find_unfiltered(std::uint64_t hash, std::uint8_t kind,
                                                       std::uint8_t prefix, std::string_view key,
                                                       Wanted wanted) const {
  std::optional<Record> record;
  std::uint32_t id = 0;
  auto at = first_slot(hash, header_.slots.count);
  for (std::uint32_t probe = 0; probe < kMaxProbes && !record; ++probe) {
    const auto slot = element_unchecked<Slot>(header_.slots, at);
    at = at + 1 == header_.slots.count ? 0 : at + 1;
    if (slot.record_plus_one == 0) {
      return std::nullopt;
    }
    if (slot.fingerprint != fingerprint(hash)) {
      continue;
    }
    id = slot.record_plus_one - 1;
    record = element<Record>(header_.records, id);
    if (record && (record->kind != kind || record->prefix != prefix || key_bytes(*record) != key)) {
      record.reset();
    }
  }
  // A parent or prefix counts only for a source that lists it as such, and each in its time.
  for (std::uint32_t i = 0; i < kMaxMentions && record; ++i) {
    const bool fits = wanted.fit == Fit::Itself || (record->flags & Record::kWide) != 0;
    if (fits && state(*record, wanted.now) == IndicatorState::Matches) {
      return IndicatorId{id};
    }
    const bool more = (record->flags & Record::kMoreFollow) != 0;
    record = more ? element<Record>(header_.records, ++id) : std::nullopt;
  }
  return std::nullopt;
}

void IntelImage::match_value(std::string_view value, Seconds now,
                             const std::function<void(IndicatorId)> &yield) const {
  for (const auto type : kFingerprints) {
    match_fingerprint(type, value, now, yield);
  }
  if (const auto address = IpAddress::parse(value)) {
    match_address(*address, now, yield);
  } else if (const auto endpoint = Endpoint::parse(value)) {
    match_endpoint(*endpoint, now, yield);
    match_address(endpoint->address, now, yield);
  } else if (value.find('/') != value.npos) {
    match_url(with_host(value), now, yield);
  } else {
    match_domain(value, now, yield);
  }
}

// ---- Allowlists -------------------------------------------------------------------------

AllowEntry IntelImage::allow_entry(IndicatorId id) const {
  AllowEntry entry;
  const auto record = element<Record>(header_.records, static_cast<std::uint32_t>(id));
  if (!record) {
    return entry;
  }
  const auto type = static_cast<IndicatorType>(record->kind & kTypeBits);
  entry.value = GuestText(stored_text(type, record->prefix, key_bytes(*record)).value_or(""));
  entry.comment = text(about(*record).value_or(About{}).description);
  entry.source = source_name(*record);
  entry.line = record->line;
  entry.valid_until = record->valid_until;
  return entry;
}

std::optional<AllowEntry> IntelImage::allowed_by(const IpAddress &address, Seconds now) const {
  std::optional<AllowEntry> entry;
  if (header_.allowed != 0) {
    walk_address(Role::Allowed, address, now, [&](IndicatorId id) { entry = allow_entry(id); });
  }
  return entry;
}

std::optional<AllowEntry> IntelImage::allowed_by(std::string_view name, Seconds now) const {
  std::optional<AllowEntry> entry;
  if (header_.allowed != 0) {
    walk_domain(Role::Allowed, name, now, [&](IndicatorId id) { entry = allow_entry(id); });
  }
  return entry;
}

std::optional<IndicatorId> IntelImage::allowed_itself(std::string_view value, Seconds now) const {
  std::optional<IndicatorId> found;
  const auto keep = [&](IndicatorId id) { found = found.value_or(id); };
  for (const auto type : kFingerprints) {
    walk_fingerprint(Role::Allowed, type, value, now, keep);
  }
  if (const auto endpoint = Endpoint::parse(value)) {
    walk_endpoint(Role::Allowed, *endpoint, now, keep);
  } else if (value.find('/') != value.npos) {
    walk_url(Role::Allowed, with_host(value), now, keep);
  }
  return found;
}

std::optional<AllowEntry> IntelImage::allowed_by_value(std::string_view value, Seconds now) const {
  if (header_.allowed == 0) {
    return std::nullopt;
  }
  if (const auto id = allowed_itself(value, now)) {
    return allow_entry(*id);
  }
  if (const auto address = IpAddress::parse(value)) {
    return allowed_by(*address, now);
  }
  if (const auto endpoint = Endpoint::parse(value)) {
    return allowed_by(endpoint->address, now);
  }
  if (value.find('/') == value.npos) {
    return allowed_by(value, now);
  }
  const auto url = Url::parse(value, UrlOrigin::Observed);
  if (!url) {
    return std::nullopt;
  }
  return url->address ? allowed_by(*url->address, now) : allowed_by(url->host, now);
}

// ---- What an indicator says -------------------------------------------------------------

std::optional<IndicatorHit> IntelImage::hit(IndicatorId id) const {
  const auto record = indicator(id);
  if (!record || record->source >= header_.sources.count) {
    return std::nullopt;
  }
  const auto type = static_cast<IndicatorType>(record->kind);
  auto value = stored_text(type, record->prefix, key_bytes(*record));
  if (!value) {
    return std::nullopt;
  }
  IndicatorHit hit;
  hit.type = type;
  hit.value = GuestText(std::move(*value));
  hit.source = source_name(*record);
  hit.source_line = record->line;
  hit.confidence = std::min<std::uint8_t>(record->confidence, 100);
  hit.valid_until = record->valid_until;
  if (const auto said = about(*record)) {
    hit.severity = std::min<std::uint8_t>(said->severity, 3);
    hit.tlp = static_cast<Tlp>(std::min(said->tlp, static_cast<std::uint8_t>(Tlp::Red)));
    hit.id = text(said->id);
    hit.about = text(said->description);
    for (std::uint64_t i = 0; i < std::min<std::size_t>(said->tag_count, kMaxTags); ++i) {
      hit.tags.push_back(
          text(element<std::uint32_t>(header_.tags, said->first_tag + i).value_or(0)));
    }
    hit.first_seen = said->first_seen;
    hit.last_seen = said->last_seen;
    hit.valid_from = said->valid_from;
  }
  return hit;
}

std::vector<GuestText> IntelImage::sources(IndicatorId id) const {
  std::vector<GuestText> names;
  auto index = static_cast<std::uint32_t>(id);
  auto record = element<Record>(header_.records, index);
  while (record && names.size() < kMaxMentions) {
    names.emplace_back(std::string(source_name(*record).raw()) + ":" +
                       std::to_string(record->line));
    const bool more = (record->flags & Record::kMoreFollow) != 0;
    record = more ? element<Record>(header_.records, ++index) : std::nullopt;
  }
  return names;
}

IndicatorState IntelImage::state(IndicatorId id, Seconds now) const {
  const auto record = indicator(id);
  return record ? state(*record, now) : IndicatorState::Removed;
}

std::optional<IntelImage::StoredKey> IntelImage::key(IndicatorId id) const {
  const auto record = indicator(id);
  if (!record) {
    return std::nullopt;
  }
  return StoredKey{static_cast<IndicatorType>(record->kind), record->prefix,
                   std::string(key_bytes(*record))};
}

bool IntelImage::has(Role role, const StoredKey &key) const {
  const auto kind = kind_of(role, key.type);
  const auto hash = key.type == IndicatorType::Domain ? hash_.of_domain(kind, key.bytes)
                                                      : hash_.of(kind, key.prefix, key.bytes);
  return find(hash, kind, key.prefix, key.bytes, {}).has_value();
}

} // namespace outguard::intel
