#include "store/process_detail_json.h"

#include "store/json_lines.h"
#include "store/json_value.h"

namespace outguard::store {

namespace {

std::string hex_of(std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string digits;
  do {
    digits.insert(digits.begin(), kDigits[value % 16]);
    value /= 16;
  } while (value != 0);
  return digits;
}

} // namespace

std::string hex(const std::array<std::uint8_t, 32> &digest) {
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += (byte < 16 ? "0" : "") + hex_of(byte);
  }
  return text;
}

std::string permissions(const MapSeen &map) {
  return {map.readable ? 'r' : '-', map.writable ? 'w' : '-', map.executable ? 'x' : '-',
          map.shared ? 's' : 'p'};
}

std::string process_detail_json(const GuestText &vm, const ProcessDetail &detail) {
  Json object = Json::parse(process_json(vm, detail.process));
  auto ancestors = Json::array();
  for (const auto &ancestor : detail.ancestors) {
    ancestors.push_back({{"pid", ancestor.pid}, {"comm", text(ancestor.comm)}});
  }
  auto threads = Json::array();
  for (const auto &thread : detail.threads) {
    threads.push_back({{"tid", thread.tid},
                       {"comm", text(thread.comm)},
                       {"state", text(std::string(1, thread.state))}});
  }
  object["ancestors"] = std::move(ancestors);
  object["ancestors_cut"] = detail.ancestors_cut;
  object["threads"] = std::move(threads);
  const auto &hash = detail.executable;
  const bool whole = hash && hash->status == FileHash::Status::Complete;
  object["sha256"] = whole ? Json(hex(hash->sha256)) : Json();
  object["sha256_status"] = hash ? Json(to_string(hash->status)) : Json();
  object["exe_bytes"] = hash ? Json(hash->file_bytes) : Json();
  object["exe_resident_bytes"] = hash ? Json(hash->resident_bytes) : Json();
  return line(object);
}

std::string map_json(const GuestText &vm, std::int32_t pid, const MapSeen &map) {
  return line({{"vm", text(vm)},
               {"pid", pid},
               {"start", hex_of(map.start)},
               {"end", hex_of(map.end)},
               {"permissions", permissions(map)},
               {"offset", map.offset},
               {"inode", map.inode},
               {"path", or_null(map.path)},
               {"deleted", map.deleted}});
}

} // namespace outguard::store
