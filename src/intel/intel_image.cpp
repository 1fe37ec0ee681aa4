#include "intel/intel_image.h"

#include "intel/url.h"

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
  if (!inside(header.filter, sizeof(FilterWord)) || !std::has_single_bit(header.filter.count)) {
    return "filter";
  }
  if (!inside(header.slots, sizeof(Slot)) || !std::has_single_bit(header.slots.count)) {
    return "slots";
  }
  if (!inside(header.records, sizeof(Record)) || header.records.count > kMaxRecords) {
    return "records";
  }
  if (!inside(header.sources, sizeof(SourceName)) || header.sources.count > kMaxSources) {
    return "sources";
  }
  return inside(header.arena, 1) ? nullptr : "arena";
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
  if (image_checksum({reinterpret_cast<const char *>(bytes.data()), bytes.size()}) !=
      header.checksum) {
    return refuse("damaged (wrong checksum)");
  }
  if (const auto *section = bad_section(header)) {
    return refuse(std::string("damaged (bad section: ") + section + ")");
  }
  return IntelImage(bytes, header);
}

IntelImage::IntelImage(std::span<const std::uint8_t> bytes, const ImageHeader &header)
    : bytes_(bytes), header_(header), hash_(header.seed) {}

template <class T> std::optional<T> IntelImage::element(Section section, std::uint64_t i) const {
  if (i >= section.count) {
    return std::nullopt;
  }
  T value;
  std::memcpy(&value, bytes_.data() + section.offset + i * sizeof value, sizeof value);
  return value;
}

std::string_view IntelImage::arena_text(std::uint32_t offset, std::uint32_t length) const {
  const std::string_view arena(reinterpret_cast<const char *>(bytes_.data() + header_.arena.offset),
                               header_.arena.count);
  return offset <= arena.size() && length <= arena.size() - offset ? arena.substr(offset, length)
                                                                   : std::string_view();
}

std::optional<IndicatorId> IntelImage::find_unfiltered(std::uint64_t hash, IndicatorType type,
                                                       std::uint8_t prefix, std::string_view key,
                                                       Fit fit) const {
  std::optional<Record> record;
  std::uint32_t id = 0;
  for (std::uint32_t probe = 0; probe < kMaxProbes && !record; ++probe) {
    const auto slot = element<Slot>(header_.slots, (hash + probe) & (header_.slots.count - 1));
    if (!slot || slot->record_plus_one == 0) {
      return std::nullopt;
    }
    if (slot->fingerprint != fingerprint(hash)) {
      continue;
    }
    id = slot->record_plus_one - 1;
    record = element<Record>(header_.records, id);
    if (record && (record->type != static_cast<std::uint8_t>(type) || record->prefix != prefix ||
                   arena_text(record->key_offset, record->key_bytes) != key)) {
      record.reset();
    }
  }
  // A parent counts only for a source that lists it with its subdomains.
  for (std::uint32_t i = 0; i < kMaxMentions && record; ++i) {
    if (fit == Fit::Itself || (record->flags & Record::kWithSubdomains) != 0) {
      return IndicatorId{id};
    }
    const bool more = (record->flags & Record::kMoreFollow) != 0;
    record = more ? element<Record>(header_.records, ++id) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<IndicatorHit> IntelImage::hit(IndicatorId id) const {
  const auto record = element<Record>(header_.records, static_cast<std::uint32_t>(id));
  if (!record || record->type > static_cast<std::uint8_t>(IndicatorType::Url)) {
    return std::nullopt;
  }
  const auto source = element<SourceName>(header_.sources, record->source);
  const auto type = static_cast<IndicatorType>(record->type);
  auto value = key_text(type, record->prefix, arena_text(record->key_offset, record->key_bytes));
  if (!source || !value) {
    return std::nullopt;
  }
  IndicatorHit hit;
  hit.type = type;
  hit.value = GuestText(std::move(*value));
  hit.source = GuestText(std::string(arena_text(source->offset, source->bytes)));
  hit.source_line = record->line;
  hit.confidence = std::min<std::uint8_t>(record->confidence, 100);
  hit.valid_until = record->valid_until;
  return hit;
}

std::vector<GuestText> IntelImage::sources(IndicatorId id) const {
  std::vector<GuestText> names;
  auto index = static_cast<std::uint32_t>(id);
  auto record = element<Record>(header_.records, index);
  while (record && names.size() < kMaxMentions) {
    const auto source = element<SourceName>(header_.sources, record->source);
    const auto name = source ? arena_text(source->offset, source->bytes) : std::string_view();
    names.emplace_back(std::string(name) + ":" + std::to_string(record->line));
    const bool more = (record->flags & Record::kMoreFollow) != 0;
    record = more ? element<Record>(header_.records, ++index) : std::nullopt;
  }
  return names;
}

std::vector<std::string> IntelImage::url_forms(std::string_view text) {
  const auto url = Url::parse(text);
  if (!url) {
    return {};
  }
  if (url->scheme.empty()) {
    return {url->without_scheme()};
  }
  return {url->to_string(), url->without_scheme()};
}

} // namespace outguard::intel
