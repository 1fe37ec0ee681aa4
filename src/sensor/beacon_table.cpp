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

const BeaconTable::Entry *BeaconTable::find(std::uint64_t key) const {
  if (entries_.empty()) {
    return nullptr;
  }
  const auto set = std::span(entries_).subspan(key % kSets * kWays, kWays);
  const auto found =
      std::find_if(set.begin(), set.end(), [&](const Entry &entry) { return entry.key == key; });
  return found == set.end() ? nullptr : &*found;
}

BeaconTable::Entry &BeaconTable::find_or_make(std::uint64_t key) {
  entries_.resize(kSets * kWays);
  const auto set = std::span(entries_).subspan(key % kSets * kWays, kWays);
  // A scan of many destinations pushes out itself, not what came back again and again.
  const auto rank = [key](const Entry &entry) {
    const int worth = entry.key == key ? -1 : entry.key == 0 ? 0 : entry.count < 3 ? 1 : 2;
    return std::pair(worth, entry.seen_ns);
  };
  Entry &entry = *std::min_element(
      set.begin(), set.end(), [&](const Entry &a, const Entry &b) { return rank(a) < rank(b); });
  if (entry.key != key) {
    counts_.evicted += entry.key != 0 ? 1U : 0U;
    entry = {};
    entry.key = key;
  }
  return entry;
}

void BeaconTable::add(std::uint64_t key, const Contact &contact) {
  if (contact.start_ns < 0 || contact.start_ns > kMostTime) {
    return; // a capture may say anything
  }
  ++counts_.contacts;
  Entry &entry = find_or_make(key);
  entry.first_ns = entry.total == 0 ? contact.start_ns : std::min(entry.first_ns, contact.start_ns);
  entry.seen_ns = std::max(entry.seen_ns, contact.start_ns);
  const auto begin = entry.contacts.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(entry.count);
  auto place =
      std::upper_bound(begin, end, contact.start_ns, [](std::int64_t start, const Contact &other) {
        return start < other.start_ns;
      });
  if (place != begin && contact.start_ns - (place - 1)->start_ns < kSameContact) {
    (place - 1)->bytes += contact.bytes;
    return;
  }
  if (place != end && place->start_ns - contact.start_ns < kSameContact) {
    place->start_ns = contact.start_ns;
    place->bytes += contact.bytes;
    return;
  }
  ++entry.total;
  if (entry.count < entry.contacts.size()) {
    std::move_backward(place, end, end + 1);
    *place = contact;
    ++entry.count;
  } else if (place != begin) { // the oldest gives way
    std::move(begin + 1, place, begin);
    *(place - 1) = contact;
  }
}

void BeaconTable::name(std::uint64_t key, std::string_view name, std::int64_t now_ns) {
  Entry &entry = find_or_make(key);
  entry.seen_ns = std::max(entry.seen_ns, now_ns);
  if (entry.name.empty()) {
    entry.name = name;
  }
}

std::optional<BeaconScore> BeaconTable::score(std::uint64_t key) const {
  const Entry *entry = find(key);
  if (entry == nullptr || entry->count <= kLeastIntervals) {
    return std::nullopt;
  }
  auto result = score_contacts(std::span(entry->contacts).first(entry->count));
  result.contacts = entry->total;
  result.first_ns = entry->first_ns;
  result.last_ns = entry->contacts[entry->count - 1].start_ns;
  result.destination = GuestText(entry->name);
  return result;
}

std::optional<BeaconScore> BeaconTable::take_finding(std::uint64_t key, std::int64_t now_ns) {
  auto result = score(key);
  if (!result || result->score < kFindingScore || result->intervals < kFindingIntervals ||
      result->clock_aligned) {
    return std::nullopt;
  }
  Entry &entry = find_or_make(key);
  if (entry.told_ns != 0 && now_ns - entry.told_ns < kCoolDown) {
    return std::nullopt;
  }
  entry.told_ns = std::max<std::int64_t>(now_ns, 1);
  ++counts_.findings;
  return result;
}

} // namespace outguard::sensor
