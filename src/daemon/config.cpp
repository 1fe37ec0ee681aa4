#include "daemon/config.h"

#include <filesystem>

#include "daemon/intel_section.h"
#include "daemon/response_section.h"
#include "yaml/strict_reader.h"

namespace outguard::daemon {

using namespace yaml;

namespace {

constexpr std::chrono::seconds kDefaultBlock{3600};

ResponseAction read_action(const YAML::Node &node) {
  return read_word(node,
                   {ResponseAction::Reset, ResponseAction::BlockFlow, ResponseAction::BlockRemote,
                    ResponseAction::Isolate, ResponseAction::Suspend, ResponseAction::Kill});
}

/// `kill`, or `{action: block_flow, ttl: 1h}`.
ResponseWanted read_response(const YAML::Node &node) {
  ResponseWanted wanted;
  std::optional<std::chrono::seconds> ttl;
  if (node.IsScalar()) {
    wanted.action = read_action(node);
  } else {
    read_mapping(node, {{"action", [&](const auto &value) { wanted.action = read_action(value); }},
                        {"ttl", [&](const auto &value) { ttl = read_duration(value); }}});
  }
  if (is_lasting(wanted.action)) {
    wanted.ttl = ttl.value_or(kDefaultBlock);
  } else if (ttl) {
    reject(node, std::string(to_string(wanted.action)) + " has no ttl");
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
    read_mapping(
        root,
        {{"mode",
          [&](const auto &value) {
            mode_ = read_word(
                value, {ResponseMode::Monitor, ResponseMode::Enforce, ResponseMode::Prevent});
          }},
         {"hold", [&](const auto &value) { config_.hold = read_hold(value); }},
         {"intel", [&](const auto &value) { config_.intel = read_intel(value, folder_); }},
         {"policies", [&](const auto &value) { read_policies(value); }},
         {"eve_file", [&](const auto &value) { config_.eve_file = path_of(value); }},
         {"run_folder", [&](const auto &value) { config_.run_folder = path_of(value); }},
         {"actions_folder", [&](const auto &value) { config_.actions_folder = path_of(value); }},
         {"evidence", [&](const auto &value) { read_evidence(value); }},
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
         {"response",
          [&](const auto &value) {
            read_response_section(value, config_.approvals, config_.actions);
          }},
         {"rules", [&](const auto &value) {
            rules_.emplace();
            read_list(value, [&](const auto &item) { rules_->push_back(read_rule(item)); });
          }}});
    return finish(root);
  }

private:
  void read_evidence(const YAML::Node &node) {
    constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
    auto &evidence = config_.evidence;
    read_mapping(node, {{"folder", [&](const auto &value) { evidence.folder = path_of(value); }},
                        {"most_bytes",
                         [&](const auto &value) {
                           evidence.most_bytes = read_size(value, kMebibyte, 8192 * kMebibyte);
                         }},
                        {"most_archives",
                         [&](const auto &value) {
                           evidence.most_archives = read_number<std::size_t>(value, 1, 1'000'000);
                         }},
                        {"packets", [&](const auto &value) {
                           evidence.packets = read_size(value, 0, 256 * kMebibyte);
                         }}});
  }

  [[nodiscard]] std::string path_of(const YAML::Node &node) const {
    return (folder_ / read_text(node)).lexically_normal().string();
  }

  /// A list of places, or `{files: [...], block_ttl: 1h}`.
  void read_policies(const YAML::Node &node) {
    const auto files = [&](const YAML::Node &value) {
      read_list(value, [&](const auto &item) { config_.policies.push_back(path_of(item)); });
    };
    if (!node.IsMap()) {
      return files(node);
    }
    read_mapping(node, {{"files", files},
                        {"block_ttl", [&](const auto &value) { ttl_ = read_duration(value); }}});
  }

  Config finish(const YAML::Node &root) {
    if (!rules_) {
      rules_ = default_policy(mode_).rules();
    }
    auto policy = detect::Policy::make(mode_, std::move(*rules_), ttl_);
    if (!policy) {
      reject(root, policy.error().message);
    }
    config_.policy = std::move(*policy);
    return std::move(config_);
  }

  std::filesystem::path folder_;
  Config config_;
  ResponseMode mode_ = ResponseMode::Monitor;
  std::chrono::seconds ttl_ = detect::kDefaultBlockTtl;
  std::optional<std::vector<detect::Rule>> rules_;
};

} // namespace

detect::Policy default_policy(ResponseMode mode) {
  detect::Rule rule;
  rule.name = "listed";
  rule.responses = {{ResponseAction::BlockFlow, kDefaultBlock},
                    {ResponseAction::Reset, {}},
                    {ResponseAction::Kill, {}}};
  return detect::Policy::make(mode, {std::move(rule)}).value();
}

Result<Config> load_config(const std::string &path) {
  Config config;
  auto read = yaml::read_file(path, [&](const YAML::Node &root) {
    config = Loader(std::filesystem::path(path).parent_path()).load(root);
  });
  if (!read) {
    return tl::unexpected(read.error());
  }
  return config;
}

} // namespace outguard::daemon
