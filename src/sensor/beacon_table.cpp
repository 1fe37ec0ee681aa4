#include "sensor/beacon_table.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace outguard::sensor {

namespace {

void add_bytes(guest::KeyedHash &hash, std::string_view bytes) {
  hash.add(bytes.size());
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const auto count = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), count);
    hash.add(word);
    bytes.remove_prefix(count);
  }
}

constexpr std::int64_t kMostTime = std::int64_t{1} << 62; ///< differences do not overflow

std::uint64_t not_zero(std::uint64_t key) {
  return key == 0 ? 1 : key;
}

} // namespace

std::uint64_t BeaconTable::key(std::string_view process, std::uint8_t protocol,
                               const Endpoint &remote) const {
  guest::KeyedHash hash(seed_);
  add_bytes(hash, process);
  const auto octets = remote.address.octets();
  add_bytes(hash, {reinterpret_cast<const char *>(octets.data()), octets.size()});
  hash.add(std::uint64_t{protocol} << 16 | remote.port);
  return not_zero(hash.finish());
}

std::uint64_t BeaconTable::key(std::string_view process, std::string_view name) const {
  guest::KeyedHash hash(seed_);
  add_bytes(hash, process);
  add_bytes(hash, name);
  return not_zero(hash.finish());
}

std::optional<std::size_t> BeaconTable::find(std::uint64_t key) const {
  if (tags_.empty()) {
    return std::nullopt;
  }
  const std::size_t start = key % kSets * kWays;
  std::size_t found = kWays;
  for (std::size_t way = 0; way < kWays; ++way) { // to the end: where it is cannot be foreseen
    found = tags_[start + way].key == key ? way : found;
  }
  return found == kWays ? std::nullopt : std::optional(start + found);
}

std::size_t BeaconTable::find_or_make(std::uint64_t key) {
  if (const auto known = find(key)) {
    return *known;
  }
  tags_.resize(kSets * kWays);
  entries_.resize(kSets * kWays);
  // A scan of many destinations pushes out itself, not what came back again and again.
  const auto rank = [](const Tag &tag) {
    const int worth = tag.key == 0 ? 0 : tag.count < 3 ? 1 : 2;
    return std::pair(worth, tag.seen_ns);
  };
  const auto set = std::span(tags_).subspan(key % kSets * kWays, kWays);
  Tag &tag = *std::min_element(set.begin(), set.end(),
                               [&](const Tag &a, const Tag &b) { return rank(a) < rank(b); });
  const auto index = static_cast<std::size_t>(&tag - tags_.data());
  counts_.evicted += tag.key != 0 ? 1U : 0U;
  tag = {};
  tag.key = key;
  Entry &entry = entries_[index]; // its contacts count for nothing: they are many cache lines
  entry.total = 0;
  entry.first_ns = entry.told_ns = 0;
  entry.name.clear();
  return index;
}

bool BeaconTable::add(std::uint64_t key, const Contact &contact) {
  if (contact.start_ns < 0 || contact.start_ns > kMostTime) {
    return false; // a capture may say anything
  }
  ++counts_.contacts;
  const auto index = find_or_make(key);
  Tag &tag = tags_[index];
  Entry &entry = entries_[index];
  entry.first_ns = entry.total == 0 ? contact.start_ns : std::min(entry.first_ns, contact.start_ns);
  tag.seen_ns = std::max(tag.seen_ns, contact.start_ns);
  const auto begin = entry.contacts.begin();
  const auto end = begin + tag.count;
  const auto place =
      std::upper_bound(begin, end, contact.start_ns, [](std::int64_t start, const Contact &other) {
        return start < other.start_ns;
      });
  if (place != begin && contact.start_ns - (place - 1)->start_ns < kSameContact) {
    (place - 1)->bytes += contact.bytes;
    return false;
  }
  if (place != end && place->start_ns - contact.start_ns < kSameContact) {
    place->start_ns = contact.start_ns;
    place->bytes += contact.bytes;
    return false;
  }
  ++entry.total;
  if (tag.count < entry.contacts.size()) {
    std::move_backward(place, end, end + 1);
    *place = contact;
    ++tag.count;
  } else if (place != begin) { // the oldest gives way
    std::move(begin + 1, place, begin);
    *(place - 1) = contact;
  }
  return true;
}

void BeaconTable::name(std::uint64_t key, std::string_view name, std::int64_t now_ns) {
  const auto index = find_or_make(key);
  tags_[index].seen_ns = std::max(tags_[index].seen_ns, now_ns);
  if (entries_[index].name.empty()) {
    entries_[index].name = name;
  }
}

BeaconScore BeaconTable::score_of(std::size_t index) const {
  const Entry &entry = entries_[index];
  const auto contacts = std::span(entry.contacts).first(tags_[index].count);
  auto result = score_contacts(contacts);
  result.contacts = entry.total;
  result.first_ns = entry.first_ns;
  result.last_ns = contacts.empty() ? 0 : contacts.back().start_ns;
  result.destination = GuestText(entry.name);
  return result;
}

std::optional<BeaconScore> BeaconTable::score(std::uint64_t key) const {
  const auto index = find(key);
  if (!index || tags_[*index].count <= kLeastIntervals) {
    return std::nullopt;
  }
  return score_of(*index);
}

std::optional<BeaconScore> BeaconTable::take_finding(std::uint64_t key, std::int64_t now_ns) {
  const auto index = find(key);
  if (!index || tags_[*index].count <= kFindingIntervals) {
    return std::nullopt;
  }
  Entry &entry = entries_[*index];
  if (entry.total % kLookEvery != 0 || (entry.told_ns != 0 && now_ns - entry.told_ns < kCoolDown)) {
    return std::nullopt;
  }
  auto result = score_of(*index);
  if (result.score < kFindingScore || result.clock_aligned) {
    return std::nullopt;
  }
  entry.told_ns = std::max<std::int64_t>(now_ns, 1);
  ++counts_.findings;
  return result;
}

} // namespace outguard::sensor
