#include "yaml/strict_reader.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

namespace outguard::yaml {

namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

std::string place(const std::string &path, const YAML::Mark &mark) {
  return mark.is_null()
             ? path
             : path + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

Result<std::string> whole_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail_errno(path);
  }
  std::string text(kMostFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) { // a folder instead of a file
    return fail(ErrorCode::InvalidInput, path + ": cannot be read");
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kMostFileBytes) {
    return fail(ErrorCode::LimitReached, path + ": larger than 1 MiB");
  }
  return text;
}

/// Where a document has its first content.
class FirstContent : public YAML::EventHandler {
public:
  [[nodiscard]] const YAML::Mark &mark() const { return mark_; } ///< is_null(): it has none

  void OnDocumentStart(const YAML::Mark & /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark & /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnAlias(const YAML::Mark &mark, YAML::anchor_t /*anchor*/) override { note(mark); }
  void OnScalar(const YAML::Mark &mark, const std::string & /*tag*/, YAML::anchor_t /*anchor*/,
                const std::string & /*value*/) override {
    note(mark);
  }
  void OnSequenceStart(const YAML::Mark &mark, const std::string & /*tag*/,
                       YAML::anchor_t /*anchor*/, YAML::EmitterStyle::value /*style*/) override {
    note(mark);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark &mark, const std::string & /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {
    note(mark);
  }
  void OnMapEnd() override {}

private:
  void note(const YAML::Mark &mark) {
    if (mark_.is_null()) {
      mark_ = mark;
    }
  }
  YAML::Mark mark_ = YAML::Mark::null_mark();
};

/// Two documents are looked for and no third: of malformed text the parser (0.7) finds the same one
/// for ever.
void reject_a_second_document(const std::string &text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  FirstContent first, second;
  if (parser.HandleNextDocument(first) && parser.HandleNextDocument(second) &&
      !second.mark().is_null()) {
    throw Problem{second.mark(), "a second document; a file holds one"};
  }
}

} // namespace

Result<void> read_file(const std::string &path,
                       const std::function<void(const YAML::Node &)> &take) {
  try {
    auto text = whole_file(path);
    if (!text) {
      return tl::unexpected(text.error());
    }
    reject_a_second_document(*text);
    take(YAML::Load(*text));
    return {};
  } catch (const Problem &problem) {
    return fail(ErrorCode::InvalidInput, place(path, problem.mark) + ": " + problem.what);
  } catch (const YAML::Exception &problem) {
    return fail(ErrorCode::InvalidInput, place(path, problem.mark) + ": " + problem.msg);
  } catch (const std::exception &problem) {
    return fail(ErrorCode::InvalidInput, path + ": " + problem.what());
  }
}

[[noreturn]] void reject(const YAML::Node &node, std::string what) {
  throw Problem{node.Mark(), std::move(what)};
}

std::string did_you_mean(const std::string &word, const std::vector<std::string> &names) {
  std::string best;
  std::size_t least = 3; // further away is no typing error
  for (const auto &name : names) {
    const auto distance = edit_distance(word, name);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best.empty() ? "" : "; did you mean '" + best + "'?";
}

void read_mapping(const YAML::Node &node, const Handlers &handlers) {
  if (!node.IsMap()) {
    reject(node, "expected a mapping of keys");
  }
  std::vector<std::string> known;
  for (const auto &[name, handler] : handlers) {
    known.push_back(name);
  }
  std::set<std::string> seen;
  for (const auto &entry : node) {
    const auto key = entry.first.as<std::string>();
    const auto handler = handlers.find(key);
    if (handler == handlers.end()) {
      reject(entry.first, "unknown key '" + key + "'" + did_you_mean(key, known));
    }
    if (!seen.insert(key).second) {
      reject(entry.first, "key '" + key + "' stands twice");
    }
    handler->second(entry.second);
  }
}

void read_list(const YAML::Node &node, const Handler &handler) {
  if (!node.IsSequence()) {
    reject(node, "expected a list");
  }
  for (const auto &item : node) {
    handler(item);
  }
}

std::string read_text(const YAML::Node &node) {
  if (!node.IsScalar() || node.Scalar().empty()) {
    reject(node, "expected a text");
  }
  return node.Scalar();
}

bool read_bool(const YAML::Node &node) {
  const auto text = read_text(node);
  if (text != "true" && text != "false") {
    reject(node, "expected true or false");
  }
  return text == "true";
}

std::chrono::seconds read_duration(const YAML::Node &node) {
  const auto duration = parse_duration(read_text(node));
  if (!duration) {
    reject(node, "expected a duration such as 90s, 10m, 1h or 2d");
  }
  return *duration;
}

std::uint64_t read_size(const YAML::Node &node, std::uint64_t least, std::uint64_t most) {
  constexpr std::uint32_t kMost = 1'000'000;
  const auto text = read_text(node);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  constexpr std::array<std::pair<std::string_view, unsigned>, 3> kUnits{
      {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}}};
  const auto known = std::find_if(kUnits.begin(), kUnits.end(),
                                  [&](const auto &one) { return one.first == unit; });
  const bool is_size =
      error == std::errc{} && value <= kMost && (known != kUnits.end() || text == "0");
  const std::uint64_t bytes =
      is_size && known != kUnits.end() ? std::uint64_t{value} << known->second : 0;
  if (!is_size || bytes < least || bytes > most) {
    reject(node, "expected a size such as 512KiB, 64MiB or 1GiB, from " +
                     std::to_string(least >> 20U) + "MiB to " + std::to_string(most >> 20U) +
                     "MiB");
  }
  return bytes;
}

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  constexpr std::uint32_t kMost = 1'000'000;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error != std::errc{} || value > kMost || unit.size() != 1) {
    return std::nullopt;
  }
  switch (unit[0]) {
  case 's':
    return std::chrono::seconds(value);
  case 'm':
    return std::chrono::minutes(value);
  case 'h':
    return std::chrono::hours(value);
  case 'd':
    return std::chrono::hours(24) * value;
  default:
    return std::nullopt;
  }
}

} // namespace outguard::yaml
