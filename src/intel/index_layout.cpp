// IndexBuilder::build(): what was collected becomes an image.
#include <algorithm>
#include <span>

#include "intel/index_builder.h"

namespace outguard::intel {

namespace {

/// Says where sections lie, one behind the other, then copies them there.
class Layout {
public:
  template <class T> void place(Section &section, std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    section = {bytes_, count};
    bytes_ = (bytes_ + count * sizeof(T) + 7) / 8 * 8;
  }
  template <class Items> void place(Section &section, const Items &items) {
    place<typename Items::value_type>(section, items.size());
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
  std::size_t bytes_ = sizeof(ImageHeader);
};

template <class T> std::span<T> view(std::vector<std::uint8_t> &image, Section section) {
  return {reinterpret_cast<T *>(image.data() + section.offset), section.count};
}

template <class Items>
void fill(std::vector<std::uint8_t> &image, Section section, const Items &items) {
  using T = typename Items::value_type;
  std::copy(items.begin(), items.end(), view<T>(image, section).begin());
}

bool add_to_slots(std::span<Slot> slots, std::uint64_t hash, std::uint32_t record) {
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

} // namespace

void IndexBuilder::fill_filter(std::span<FilterWord> filter) const {
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
}

std::vector<std::uint32_t> IndexBuilder::make_lengths_v4() const {
  const bool many = networks_v4_ >= kLengthsManyFrom;
  std::vector<std::uint32_t> lengths(many ? kLengthsMany : kLengthsFew);
  const unsigned bits = many ? 16 : 8; // of the address that choose the element
  for (const auto &[record, next, head, hash] : entries_) {
    if (!head || !is_network_v4(record)) {
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

bool IndexBuilder::lay_out(std::span<Record> records, std::span<Slot> slots) const {
  std::size_t count = 0;
  for (const auto &entry : entries_) {
    if (!entry.head) {
      continue;
    }
    const auto first = count;
    if (!add_to_slots(slots, entry.hash, static_cast<std::uint32_t>(first))) {
      return false;
    }
    records[count++] = entry.record;
    for (auto at = entry.next; at != kNone; at = entries_[at].next) {
      records[count++] = entries_[at].record;
    }
    const auto mentions = records.subspan(first, count - first);
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
  const auto lengths_v4 = make_lengths_v4();
  ImageHeader header;
  header.header_bytes = sizeof header;
  header.seed = seed_;
  header.indicators = count(Role::Indicator);
  header.allowed = allowed_;
  header.removed = removed_;
  header.networks = networks_;
  header.allowed_networks = allowed_networks_;
  header.domain_labels = domain_labels_;
  header.types = types_;
  Layout layout;
  layout.place<FilterWord>(header.filter, (heads_ + gates_.size()) * kFilterBitsPerKey / 64 + 1);
  layout.place<Slot>(header.slots, heads_ * 5 / 3 + 1);
  layout.place<Record>(header.records, entries_.size());
  layout.place(header.abouts, abouts_.abouts());
  layout.place(header.tags, abouts_.tags());
  layout.place(header.sources, sources_);
  layout.place(header.lengths_v4, lengths_v4);
  layout.place(header.url_lengths, url_lengths_);
  layout.place(header.arena, arena_);
  layout.place(header.texts, abouts_.texts());
  header.image_bytes = layout.bytes();

  std::vector<std::uint8_t> image(layout.bytes());
  if (!lay_out(view<Record>(image, header.records), view<Slot>(image, header.slots))) {
    return fail(ErrorCode::LimitReached, "indicators collide in the index: try again");
  }
  fill_filter(view<FilterWord>(image, header.filter));
  fill(image, header.abouts, abouts_.abouts());
  fill(image, header.tags, abouts_.tags());
  fill(image, header.sources, sources_);
  fill(image, header.lengths_v4, lengths_v4);
  fill(image, header.url_lengths, url_lengths_);
  fill(image, header.arena, arena_);
  fill(image, header.texts, abouts_.texts());
  const std::string_view bytes(reinterpret_cast<const char *>(image.data()), image.size());
  header.content_checksum = content_checksum(bytes.substr(sizeof header));
  header.checksum = header_checksum(header);
  std::memcpy(image.data(), &header, sizeof header);
  return image;
}

} // namespace outguard::intel
