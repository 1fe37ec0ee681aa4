#include "guest/protocols/hpack.h"

#include <array>

#include "guest/protocols/hpack_huffman.h"
#include "guest/protocols/text_line.h"

namespace outguard::guest {

namespace {

/// RFC 7541, appendix A.
constexpr std::array<HpackField, 61> kStatic{{
    {":authority", ""},
    {":method", "GET"},
    {":method", "POST"},
    {":path", "/"},
    {":path", "/index.html"},
    {":scheme", "http"},
    {":scheme", "https"},
    {":status", "200"},
    {":status", "204"},
    {":status", "206"},
    {":status", "304"},
    {":status", "400"},
    {":status", "404"},
    {":status", "500"},
    {"accept-charset", ""},
    {"accept-encoding", "gzip, deflate"},
    {"accept-language", ""},
    {"accept-ranges", ""},
    {"accept", ""},
    {"access-control-allow-origin", ""},
    {"age", ""},
    {"allow", ""},
    {"authorization", ""},
    {"cache-control", ""},
    {"content-disposition", ""},
    {"content-encoding", ""},
    {"content-language", ""},
    {"content-length", ""},
    {"content-location", ""},
    {"content-range", ""},
    {"content-type", ""},
    {"cookie", ""},
    {"date", ""},
    {"etag", ""},
    {"expect", ""},
    {"expires", ""},
    {"from", ""},
    {"host", ""},
    {"if-match", ""},
    {"if-modified-since", ""},
    {"if-none-match", ""},
    {"if-range", ""},
    {"if-unmodified-since", ""},
    {"last-modified", ""},
    {"link", ""},
    {"location", ""},
    {"max-forwards", ""},
    {"proxy-authenticate", ""},
    {"proxy-authorization", ""},
    {"range", ""},
    {"referer", ""},
    {"refresh", ""},
    {"retry-after", ""},
    {"server", ""},
    {"set-cookie", ""},
    {"strict-transport-security", ""},
    {"transfer-encoding", ""},
    {"user-agent", ""},
    {"vary", ""},
    {"via", ""},
    {"www-authenticate", ""},
}};

constexpr std::uint64_t kEntryOverhead = 32; ///< RFC 7541, 4.1
/// Of one block: a name of the table costs one byte, and its length in time.
constexpr std::size_t kMostDecoded = std::size_t{64} * 1024;
/// Dead bytes at the front that are worth moving the rest.
constexpr std::size_t kMostDead = 4096;

} // namespace

std::optional<HpackField> HpackTable::at(std::uint64_t index) const {
  if (index == 0) {
    return std::nullopt;
  }
  if (index <= kStatic.size()) {
    return kStatic[index - 1];
  }
  const std::uint64_t back = index - kStatic.size(); // 1: the newest
  if (back > count()) {
    return std::nullopt;
  }
  const Entry &entry = entries_[entries_.size() - back];
  const auto both = std::string_view(bytes_).substr(entry.start - bytes_start_);
  return HpackField{both.substr(0, entry.name), both.substr(entry.name, entry.value)};
}

void HpackTable::insert(const HpackField &field) {
  const std::uint64_t needed = field.name.size() + field.value.size() + kEntryOverhead;
  evict(needed);
  if (needed > most_size_) {
    return; // RFC 7541, 4.4: it empties the table
  }
  entries_.push_back({static_cast<std::uint32_t>(field.name.size()),
                      static_cast<std::uint32_t>(field.value.size()),
                      bytes_start_ + bytes_.size()});
  bytes_.append(field.name).append(field.value);
  size_ += needed;
}

bool HpackTable::resize(std::uint64_t bytes) {
  if (bytes > kMostBytes) {
    return false;
  }
  most_size_ = bytes;
  evict(0);
  return true;
}

/// Oldest first, until `room` bytes more fit.
void HpackTable::evict(std::uint64_t room) {
  while (count() > 0 && size_ + room > most_size_) {
    const Entry &entry = entries_[oldest_++];
    size_ -= entry.name + entry.value + kEntryOverhead;
  }
  const std::uint64_t start = count() > 0 ? entries_[oldest_].start : bytes_start_ + bytes_.size();
  if (const std::uint64_t dead = start - bytes_start_; dead > kMostDead) {
    bytes_.erase(0, dead);
    bytes_start_ = start;
  }
  if (oldest_ > count() + kEntryOverhead) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(oldest_));
    oldest_ = 0;
  }
}

std::optional<HpackField> HpackReader::next() {
  constexpr std::uint8_t kIndexed = 0x80;
  constexpr std::uint8_t kRemembered = 0x40;
  constexpr std::uint8_t kResize = 0x20;
  while (!failed_ && !cursor_.at_end()) {
    const std::uint8_t first = *cursor_.u8();
    if ((first & kIndexed) != 0) {
      const auto index = integer(first, 7);
      const auto field = index ? table_.at(*index) : std::nullopt;
      return field && count(*field) ? field : fail();
    }
    if ((first & kRemembered) != 0) {
      const auto index = integer(first, 6);
      const auto field = index ? literal(*index) : std::nullopt;
      if (!field) {
        return fail();
      }
      table_.insert(*field);
      return field;
    }
    if ((first & kResize) == 0) {
      const auto index = integer(first, 4);
      const auto field = index ? literal(*index) : std::nullopt;
      return field ? field : fail();
    }
    const auto size = integer(first, 5);
    failed_ = !size || !table_.resize(*size);
  }
  return std::nullopt;
}

std::optional<HpackField> HpackReader::fail() {
  failed_ = true;
  return std::nullopt;
}

/// RFC 7541, 5.1; at most 28 bits behind the prefix.
std::optional<std::uint64_t> HpackReader::integer(std::uint8_t first, unsigned prefix_bits) {
  const std::uint64_t most = (std::uint64_t{1} << prefix_bits) - 1;
  std::uint64_t value = first & most;
  if (value < most) {
    return value;
  }
  constexpr unsigned kMostShift = 28;
  for (unsigned shift = 0; shift < kMostShift; shift += 7) {
    const auto byte = cursor_.u8();
    if (!byte) {
      return std::nullopt;
    }
    value += std::uint64_t{*byte & 0x7fU} << shift;
    if ((*byte & 0x80) == 0) {
      return value;
    }
  }
  return std::nullopt;
}

bool HpackReader::text(std::string &out) {
  out.clear();
  const auto first = cursor_.u8();
  const auto length = first ? integer(*first, 7) : std::nullopt;
  if (!length) {
    return false;
  }
  const auto bytes = cursor_.take(*length);
  if (!bytes) {
    return false;
  }
  if ((*first & 0x80) != 0) {
    return append_huffman(*bytes, out);
  }
  out = as_text(*bytes);
  return true;
}

std::optional<HpackField> HpackReader::literal(std::uint64_t name_index) {
  if (name_index == 0) {
    if (!text(scratch_.name)) {
      return std::nullopt;
    }
  } else if (const auto named = table_.at(name_index)) {
    scratch_.name = named->name;
  } else {
    return std::nullopt;
  }
  if (!text(scratch_.value)) {
    return std::nullopt;
  }
  const HpackField field{scratch_.name, scratch_.value};
  return count(field) ? std::optional(field) : std::nullopt;
}

/// False: too much for one block.
bool HpackReader::count(const HpackField &field) {
  decoded_ += field.name.size() + field.value.size();
  return decoded_ <= kMostDecoded;
}

} // namespace outguard::guest
