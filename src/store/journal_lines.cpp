#include "store/journal_lines.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "base/clock.h"
#include "store/action_json.h"
#include "store/protection_json.h"
#include "store/sha256_text.h"

namespace outguard::store {

namespace {

constexpr std::string_view kCheckpoint = "checkpoint";
constexpr std::string_view kProtectionIds = "p-";
constexpr std::size_t kHashDigits = 64;
constexpr std::size_t kLongestWord = 32;                ///< of ids and steps
constexpr std::size_t kMostTorn = 4 * kMostJournalLine; ///< more than one append() writes

/// What every line begins with: enough to follow the chain without reading the rest.
struct LineHead {
  std::string_view previous, id, step;
  bool open = false;
  std::uint64_t seq = 0;
};

std::string finish(JournalPosition &position, const Json &object) {
  auto text = line(object);
  position.last_hash = sha256_hex(text);
  ++position.next_seq;
  text += '\n';
  return text;
}

Json begin(const JournalPosition &position, std::string_view id, std::string_view step, bool open,
           std::int64_t time_ns) {
  return {{"prev", position.last_hash},
          {"id", id},
          {"step", step},
          {"open", open},
          {"seq", position.next_seq},
          {"time", rfc3339_timestamp(WallTime(std::chrono::nanoseconds(time_ns)))}};
}

bool take(std::string_view &rest, std::string_view expected) {
  if (!rest.starts_with(expected)) {
    return false;
  }
  rest.remove_prefix(expected.size());
  return true;
}

/// Up to the quote, which stays.
bool take_word(std::string_view &rest, std::string_view &word) {
  const auto end = rest.substr(0, kLongestWord + 1).find_first_of("\"\\");
  if (end == std::string_view::npos) {
    return false;
  }
  word = rest.substr(0, end);
  rest.remove_prefix(end);
  return !word.empty();
}

std::optional<LineHead> read_head(std::string_view rest) {
  LineHead head;
  if (!take(rest, R"({"prev":")") || rest.size() < kHashDigits) {
    return std::nullopt;
  }
  head.previous = rest.substr(0, kHashDigits);
  rest.remove_prefix(kHashDigits);
  if (!take(rest, R"(","id":")") || !take_word(rest, head.id) || !take(rest, R"(","step":")") ||
      !take_word(rest, head.step) || !take(rest, R"(","open":)")) {
    return std::nullopt;
  }
  head.open = take(rest, "true");
  if (!(head.open || take(rest, "false")) || !take(rest, R"(,"seq":)")) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), head.seq);
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return error == std::errc{} && rest.starts_with(',') ? std::optional(head) : std::nullopt;
}

std::optional<ActionRecord> read_record(std::string_view text, const LineHead &head) {
  const auto object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto found = object.is_object() ? object.find("record") : object.end();
  auto record = found == object.end() ? std::nullopt : read_action(*found);
  const bool agrees = record && record->id == head.id &&
                      to_string(record->state) == std::string(head.step) &&
                      is_open(*record) == head.open;
  return agrees ? std::move(record) : std::nullopt;
}

bool is_protection(const LineHead &head) {
  return head.id.starts_with(kProtectionIds);
}

const char *step_of(const Protection &entry) {
  return entry.removed ? "removed" : "added";
}

std::optional<Protection> read_protected(std::string_view text, const LineHead &head) {
  const auto object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto found = object.is_object() ? object.find("record") : object.end();
  auto entry = found == object.end() ? std::nullopt : read_protection(*found);
  const bool agrees =
      entry && entry->id == head.id && step_of(*entry) == head.step && head.open == !entry->removed;
  return agrees ? std::move(entry) : std::nullopt;
}

/// How many records were carried over.
std::optional<std::uint64_t> read_checkpoint(std::string_view text, const LineHead &head) {
  const auto object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (head.id != kCheckpoint || head.step != kCheckpoint || !object.is_object() ||
      !object.contains("version") || object["version"] != 1 || !object.contains("records") ||
      !object["records"].is_number_unsigned()) {
    return std::nullopt;
  }
  return object["records"].get<std::uint64_t>();
}

/// Follows the chain and remembers the last line of each id.
class Chain {
public:
  /// nullptr, or what is wrong with the line.
  [[nodiscard]] const char *follow(std::string_view text) {
    const auto head = text.size() > kMostJournalLine ? std::nullopt : read_head(text);
    if (!head) {
      return "is not a line of a journal";
    }
    if (lines_ == 0) {
      const auto carried = read_checkpoint(text, *head);
      if (!carried || head->seq == 0) {
        return "is not the beginning of a journal of version 1";
      }
      carried_ = *carried;
      first_seq_ = head->seq;
      first_previous_ = head->previous;
      at_ = {std::string(head->previous), head->seq};
      if (head->seq == 1 && at_ != JournalPosition{}) {
        return "is the first of all and has one before it";
      }
    } else if (head->previous != at_.last_hash) {
      return "does not follow from the line before it, which was changed, or lines are missing";
    } else if (head->seq != at_.next_seq) {
      return "has not the number that follows";
    } else if (head->id == kCheckpoint) {
      return "is a beginning in the middle";
    } else {
      remember(text, *head);
    }
    at_.last_hash = sha256_hex(text);
    ++at_.next_seq;
    ++lines_;
    return nullptr;
  }

  /// The number of the line that no record can be made of, or what was read.
  [[nodiscard]] tl::expected<JournalRead, std::uint64_t> end(std::size_t good_bytes) const {
    JournalRead read{{}, lines_, first_seq_, first_previous_, at_, good_bytes, {}, 0};
    std::size_t ended = 0;
    for (auto last = latest_.rbegin(); last != latest_.rend(); ++last) {
      if (is_protection(last->head)) {
        auto entry = read_protected(last->text, last->head);
        if (!entry) {
          return tl::unexpected(last->line);
        }
        if (!entry->removed) {
          read.allowed.push_back(std::move(*entry));
        }
        continue;
      }
      if (!last->head.open && ++ended > kMostEndedRead) {
        continue;
      }
      auto record = read_record(last->text, last->head);
      if (!record) {
        return tl::unexpected(last->line);
      }
      read.records.push_back(std::move(*record));
    }
    std::reverse(read.records.begin(), read.records.end());
    return read;
  }

  [[nodiscard]] bool is_whole() const { return lines_ == 0 || lines_ > carried_; }
  [[nodiscard]] std::uint64_t lines() const { return lines_; }

private:
  struct Latest {
    std::string_view text;
    LineHead head;
    std::uint64_t line = 0;
  };

  void remember(std::string_view text, const LineHead &head) {
    const auto [known, is_new] = by_id_.try_emplace(head.id, latest_.size());
    if (is_new) {
      latest_.emplace_back();
    }
    latest_[known->second] = {text, head, lines_ + 1};
  }

  JournalPosition at_;
  std::uint64_t lines_ = 0, first_seq_ = 0, carried_ = 0;
  std::string first_previous_;
  std::vector<Latest> latest_;
  std::unordered_map<std::string_view, std::size_t> by_id_; ///< into latest_
};

/// With its line end; InvalidInput, and nothing moved: `reads` could not read it back.
template <class Reads>
Result<std::string> checked_line(JournalPosition &position, const Json &object, Reads reads) {
  auto moved = position;
  auto written = finish(moved, object);
  const auto body = std::string_view(written).substr(0, written.size() - 1);
  const auto head = read_head(body);
  if (body.size() > kMostJournalLine || moved.last_hash.empty() || !head || !reads(body, *head)) {
    return fail(ErrorCode::InvalidInput, "a record that the journal could not give back");
  }
  position = std::move(moved);
  return written;
}

tl::unexpected<Error> damaged(std::uint64_t line, const std::string &what) {
  return fail(ErrorCode::InvalidInput, fmt::format("line {} {}", line, what));
}

} // namespace

Result<std::string> journal_line(JournalPosition &position, const ActionRecord &record,
                                 const std::string &actor) {
  auto object =
      begin(position, record.id, to_string(record.state), is_open(record), record.changed_ns);
  object["actor"] = text(actor);
  object["record"] = action_json(record);
  return checked_line(position, object, [](std::string_view body, const LineHead &head) {
    return head.id != kCheckpoint && !is_protection(head) && read_record(body, head);
  });
}

Result<std::string> journal_line(JournalPosition &position, const Protection &entry,
                                 const std::string &actor) {
  auto object = begin(position, entry.id, step_of(entry), !entry.removed,
                      wall_now().time_since_epoch().count());
  object["actor"] = text(actor);
  object["record"] = protection_json(entry);
  return checked_line(position, object, [](std::string_view body, const LineHead &head) {
    return is_protection(head) && read_protected(body, head);
  });
}

std::string checkpoint_line(JournalPosition &position, std::size_t records) {
  auto object =
      begin(position, kCheckpoint, kCheckpoint, false, wall_now().time_since_epoch().count());
  object["version"] = 1;
  object["records"] = records;
  return finish(position, object);
}

Result<JournalRead> read_journal(std::string_view bytes) {
  Chain chain;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto rest = bytes.substr(at);
    const auto end = rest.find('\n');
    const auto text = rest.substr(0, end);
    const bool unwritten = rest.size() <= kMostTorn && text.find('\0') != std::string_view::npos;
    if (end == std::string_view::npos || unwritten) {
      break;
    }
    if (const char *wrong = chain.follow(text)) {
      return damaged(chain.lines() + 1, wrong);
    }
    at += end + 1;
  }
  if (!chain.is_whole()) {
    return damaged(chain.lines(), "is the last, and records that were carried over are missing");
  }
  auto read = chain.end(at);
  if (!read) {
    return damaged(read.error(), "has no record that can be read");
  }
  read->torn_bytes = bytes.size() - at;
  return std::move(*read);
}

} // namespace outguard::store
