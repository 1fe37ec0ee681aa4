#include "daemon/config.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include <yaml-cpp/yaml.h>

namespace outguard::daemon {

namespace {

constexpr std::chrono::seconds kDefaultBlock{3600};

/// Leaves this file as an Error: yaml-cpp throws, and no exception leaves the folder.
struct ConfigProblem {
  YAML::Mark mark;
  std::string what;
};

[[noreturn]] void reject(const YAML::Node &node, std::string what) {
  throw ConfigProblem{node.Mark(), std::move(what)};
}

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

template <class Names> std::string did_you_mean(const std::string &word, const Names &names) {
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

using Handler = std::function<void(const YAML::Node &)>;
using Handlers = std::map<std::string, Handler>;

/// Reads a mapping: every key must have a handler and stand once.
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

template <class Number> Number read_number(const YAML::Node &node, Number least, Number most) {
  Number value{};
  const auto text = read_text(node);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    reject(node, "expected a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

bool read_bool(const YAML::Node &node) {
  const auto text = read_text(node);
  if (text != "true" && text != "false") {
    reject(node, "expected true or false");
  }
  return text == "true";
}

/// One word of a closed list, by the names that to_string() gives.
template <class Enum> Enum read_word(const YAML::Node &node, std::initializer_list<Enum> values) {
  const auto text = read_text(node);
  std::vector<std::string> names;
  std::string all;
  for (const Enum value : values) {
    if (text == to_string(value)) {
      return value;
    }
    names.emplace_back(to_string(value));
    all += (all.empty() ? "" : ", ") + names.back();
  }
  reject(node, "expected one of " + all + did_you_mean(text, names));
}

ResponseAction read_action(const YAML::Node &node) {
  return read_word(node, {ResponseAction::Reset, ResponseAction::BlockFlow, ResponseAction::Kill});
}

/// `kill`, or `{action: block_flow, ttl: 1h}`.
ResponseWanted read_response(const YAML::Node &node) {
  ResponseWanted wanted;
  std::optional<std::chrono::seconds> ttl;
  if (node.IsScalar()) {
    wanted.action = read_action(node);
  } else {
    read_mapping(node, {{"action", [&](const auto &value) { wanted.action = read_action(value); }},
                        {"ttl", [&](const auto &value) {
                           ttl = parse_duration(read_text(value));
                           if (!ttl) {
                             reject(value, "expected a duration such as 90s, 10m, 1h or 2d");
                           }
                         }}});
  }
  if (wanted.action == ResponseAction::BlockFlow) {
    wanted.ttl = ttl.value_or(kDefaultBlock);
  } else if (ttl) {
    reject(node, "only block_flow has a ttl");
  }
  return wanted;
}

detect::Rule read_rule(const YAML::Node &node) {
  detect::Rule rule;
  read_mapping(
      node, {{"name", [&](const auto &value) { rule.name = read_text(value); }},
             {"types",
              [&](const auto &value) {
                read_list(value, [&](const auto &item) {
                  rule.types.push_back(read_word(
                      item, {IndicatorType::Address, IndicatorType::Network,
                             IndicatorType::Endpoint, IndicatorType::Domain, IndicatorType::Url,
                             IndicatorType::UrlPath, IndicatorType::Ja3, IndicatorType::Ja4,
                             IndicatorType::Hassh, IndicatorType::CertificateSha1,
                             IndicatorType::CertificateSha256, IndicatorType::FileMd5,
                             IndicatorType::FileSha1, IndicatorType::FileSha256}));
                });
              }},
             {"least_confidence",
              [&](const auto &value) {
                rule.least_confidence = static_cast<std::uint8_t>(read_number(value, 0U, 100U));
              }},
             {"severity",
              [&](const auto &value) {
                rule.severity = read_word(value, {Severity::High, Severity::Medium, Severity::Low});
              }},
             {"responses", [&](const auto &value) {
                read_list(value,
                          [&](const auto &item) { rule.responses.push_back(read_response(item)); });
              }}});
  return rule;
}

/// "10.0.0.0/8", or an address alone.
respond::ProtectedNetwork read_network(const YAML::Node &node) {
  const auto text = read_text(node);
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) {
    reject(node, "expected an address or a network such as 10.0.0.0/8");
  }
  const unsigned most = address->family == IpFamily::V4 ? 32 : 128;
  unsigned length = most;
  if (slash != std::string::npos) {
    const auto digits = std::string_view(text).substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length > most) {
      reject(node, "expected a prefix length from 0 to " + std::to_string(most));
    }
  }
  return {*address, static_cast<std::uint8_t>(length), text};
}

class Loader {
public:
  explicit Loader(std::filesystem::path folder) : folder_(std::move(folder)) {}

  Config load(const YAML::Node &root) {
    if (root.IsNull()) {
      return finish(root); // an empty file: everything by default
    }
    const auto texts = [](std::vector<std::string> &into) {
      return [&into](const YAML::Node &value) {
        read_list(value, [&](const auto &item) { into.push_back(read_text(item)); });
      };
    };
    const auto guards = [&](FeedRole role) {
      return [this, role](const YAML::Node &value) {
        read_list(value, [&](const auto &item) {
          launch::FeedChoice choice;
          choice.path = path_of(item);
          choice.role = role;
          config_.intel.push_back(std::move(choice));
        });
      };
    };
    read_mapping(
        root,
        {{"mode",
          [&](const auto &value) {
            mode_ = read_word(value, {ResponseMode::Monitor, ResponseMode::Enforce});
          }},
         {"intel",
          [&](const auto &value) {
            read_list(value, [&](const auto &item) { config_.intel.push_back(read_feed(item)); });
          }},
         {"warninglists", guards(FeedRole::WarningList)},
         {"allowlists", guards(FeedRole::Allowlist)},
         {"eve_file", [&](const auto &value) { config_.eve_file = path_of(value); }},
         {"symbols",
          [&](const auto &value) {
            config_.symbols = path_of(value);
            if (std::filesystem::is_regular_file(config_.symbols)) {
              reject(value,
                     "symbols is a folder with a file a kernel; one file fits one kernel only");
            }
          }},
         {"vms", texts(config_.vms)},
         {"protected_processes", texts(config_.protected_processes)},
         {"protected_networks",
          [&](const auto &value) {
            read_list(value, [&](const auto &item) {
              config_.protected_networks.push_back(read_network(item));
            });
          }},
         {"kills_per_minute",
          [&](const auto &value) { config_.kills_per_minute = read_number(value, 0U, 10'000U); }},
         {"rules", [&](const auto &value) {
            rules_.emplace();
            read_list(value, [&](const auto &item) { rules_->push_back(read_rule(item)); });
          }}});
    return finish(root);
  }

private:
  [[nodiscard]] std::string path_of(const YAML::Node &node) const {
    return (folder_ / read_text(node)).lexically_normal().string();
  }

  [[nodiscard]] launch::FeedChoice read_feed(const YAML::Node &node) const {
    launch::FeedChoice feed;
    if (node.IsScalar()) {
      feed.path = path_of(node);
    } else {
      read_mapping(node, {{"path", [&](const auto &value) { feed.path = path_of(value); }},
                          {"format", [&](const auto &value) { feed.format = read_text(value); }},
                          {"allow_reserved",
                           [&](const auto &value) { feed.allow_reserved = read_bool(value); }}});
    }
    if (feed.path.empty()) {
      reject(node, "a feed needs a path");
    }
    return feed;
  }

  Config finish(const YAML::Node &root) {
    if (!rules_) {
      config_.policy = default_policy(mode_);
      return std::move(config_);
    }
    auto policy = detect::Policy::make(mode_, std::move(*rules_));
    if (!policy) {
      reject(root, policy.error().message);
    }
    config_.policy = std::move(*policy);
    return std::move(config_);
  }

  std::filesystem::path folder_;
  Config config_;
  ResponseMode mode_ = ResponseMode::Monitor;
  std::optional<std::vector<detect::Rule>> rules_;
};

std::string place(const std::string &path, const YAML::Mark &mark) {
  return mark.is_null()
             ? path
             : path + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

} // namespace

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

detect::Policy default_policy(ResponseMode mode) {
  detect::Rule rule;
  rule.name = "listed";
  rule.responses = {{ResponseAction::BlockFlow, kDefaultBlock},
                    {ResponseAction::Reset, {}},
                    {ResponseAction::Kill, {}}};
  return detect::Policy::make(mode, {std::move(rule)}).value();
}

Result<Config> load_config(const std::string &path) {
  try {
    return Loader(std::filesystem::path(path).parent_path()).load(YAML::LoadFile(path));
  } catch (const ConfigProblem &problem) {
    return fail(ErrorCode::InvalidInput, place(path, problem.mark) + ": " + problem.what);
  } catch (const YAML::BadFile &) {
    return fail_errno(path);
  } catch (const YAML::Exception &problem) {
    return fail(ErrorCode::InvalidInput, place(path, problem.mark) + ": " + problem.msg);
  } catch (const std::exception &problem) { // a folder instead of a file
    return fail(ErrorCode::InvalidInput, path + ": " + problem.what());
  }
}

} // namespace outguard::daemon
