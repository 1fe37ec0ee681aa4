#include "sensor/file_matches.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "sensor/listed_match.h"

namespace outguard::sensor {

namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;

std::string hex(std::span<const std::uint8_t> octets) {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  std::string digits;
  for (const auto octet : octets) {
    digits += {kHexDigits[octet >> 4], kHexDigits[octet & 15]};
  }
  return digits;
}

} // namespace

void FileMatches::use(std::shared_ptr<const intel::IntelSet> intel) {
  intel_ = std::move(intel);
  unhashed_.forget();
}

bool FileMatches::lists_files() const {
  return intel_ != nullptr &&
         (intel_->lists(IndicatorType::FileSha256) || intel_->lists(IndicatorType::FileSha1) ||
          intel_->lists(IndicatorType::FileMd5));
}

bool FileMatches::wants(const ProcessSeen &process) const {
  return lists_files() && unhashed_.wants(process, monotonic_now());
}

std::optional<MatchSeen> FileMatches::listed_file(const FileHash &hash, std::int64_t now) const {
  std::optional<MatchSeen> match;
  const auto look = [&](IndicatorType type, std::span<const std::uint8_t> digest) {
    const auto text = hex(digest);
    intel_->match_fingerprint(type, text, now, [&](intel::IndicatorId indicator) {
      if (!match && (match = listed_match(*intel_, indicator))) {
        match->indicator.observed = ObservableKind::ExecutableHash;
        match->indicator.observed_value = GuestText(text);
      }
    });
  };
  look(IndicatorType::FileSha256, hash.sha256);
  if (hash.sha1) {
    look(IndicatorType::FileSha1, *hash.sha1);
  }
  if (hash.md5) {
    look(IndicatorType::FileMd5, *hash.md5);
  }
  return match;
}

FileMatches::Judged FileMatches::judge(const MatchSeen &of, const FileHash &hash) {
  Judged judged;
  if (hash.status == FileHash::Status::Complete) {
    judged.match = listed_file(hash, of.flow.last_packet_ns / kNanoseconds);
    judged.verdict = judged.match ? FileVerdict::Listed : FileVerdict::NotListed;
  }
  unhashed_.settle(of.attribution.processes.front(), judged.verdict, monotonic_now());
  if (judged.match) {
    judged.match->flow = of.flow;
    judged.match->attribution = of.attribution;
    judged.match->beacon = of.beacon;
  }
  return judged;
}

bool FileMatches::note_told(const MatchSeen &match) {
  Told told{match.flow.interface, match.flow.flow_id, match.indicator.value};
  if (std::find(told_.begin(), told_.end(), told) != told_.end()) {
    return false;
  }
  if (told_.size() >= kMostTold) {
    told_.pop_front();
  }
  told_.push_back(std::move(told));
  return true;
}

} // namespace outguard::sensor
