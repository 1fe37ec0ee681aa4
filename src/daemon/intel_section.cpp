#include "daemon/intel_section.h"

#include <algorithm>

#include "launch/feed_schedule.h"

namespace outguard::daemon {

using namespace yaml;

namespace {

using std::chrono::seconds;

constexpr seconds kMostInterval = std::chrono::hours(24 * 30);

std::string path_from(const std::filesystem::path &folder, const YAML::Node &node) {
  return (folder / read_text(node)).lexically_normal().string();
}

Handler path_into(std::string &into, const std::filesystem::path &folder) {
  return [&into, &folder](const YAML::Node &value) { into = path_from(folder, value); };
}

Handler text_into(std::string &into) {
  return [&into](const YAML::Node &value) { into = read_text(value); };
}

/// Keys belong into key files, not into a file that is shown and copied.
std::string read_url(const YAML::Node &node) {
  auto url = read_text(node);
  const auto start = url.find("://");
  const auto scheme = url.substr(0, start);
  if (start == std::string::npos || (scheme != "https" && scheme != "http")) {
    reject(node, "expected a URL that starts with https:// or http://");
  }
  const auto authority = url.substr(start + 3, url.find_first_of("/?#", start + 3) - (start + 3));
  if (authority.empty() || authority.find('@') != std::string::npos) {
    reject(node, authority.empty() ? "the URL names no host"
                                   : "a URL carries no user or password; use key_file");
  }
  return url;
}

/// PATH, or `{path: PATH, format: csv, allow_reserved: true}`.
launch::FeedChoice read_file(const YAML::Node &node, const std::filesystem::path &folder) {
  launch::FeedChoice file;
  if (node.IsScalar()) {
    file.path = path_from(folder, node);
  } else {
    read_mapping(node, {{"path", path_into(file.path, folder)},
                        {"format", text_into(file.format)},
                        {"allow_reserved",
                         [&](const auto &value) { file.allow_reserved = read_bool(value); }}});
  }
  if (file.path.empty()) {
    reject(node, "a feed needs a path");
  }
  return file;
}

/// URL, or a mapping.
IntelFeed read_feed(const YAML::Node &node, const std::filesystem::path &folder) {
  IntelFeed feed;
  auto &source = feed.source;
  if (node.IsScalar()) {
    source.url = read_url(node);
  } else {
    read_mapping(
        node,
        {{"url", [&](const auto &value) { source.url = read_url(value); }},
         {"name", text_into(feed.name)},
         {"kind",
          [&](const auto &value) {
            source.kind = read_word(value, {FeedKind::File, FeedKind::Taxii, FeedKind::Misp});
          }},
         {"interval",
          [&](const auto &value) {
            source.interval = read_duration(value);
            if (source.interval < launch::FeedSchedule::kLeastInterval ||
                source.interval > kMostInterval) {
              reject(value, "expected an interval from 60s to 30d");
            }
          }},
         {"format", text_into(feed.format)},
         {"allow_reserved", [&](const auto &value) { feed.allow_reserved = read_bool(value); }},
         {"key_file", path_into(source.key_file, folder)},
         {"key_variable", text_into(source.key_variable)},
         {"ca_file", path_into(source.ca_file, folder)},
         {"proxy", text_into(source.proxy)}});
  }
  if (source.url.empty()) {
    reject(node, "a feed needs a url");
  }
  if (!source.key_file.empty() && !source.key_variable.empty()) {
    reject(node, "a feed has a key_file or a key_variable, not both");
  }
  if (feed.name.empty()) {
    feed.name = source.url.substr(0, source.url.find_first_of("?#")); // a key may stand behind it
  }
  return feed;
}

Handler guards_into(IntelConfig &intel, FeedRole role, const std::filesystem::path &folder) {
  return [&intel, role, &folder](const YAML::Node &value) {
    read_list(value, [&](const auto &item) {
      launch::FeedChoice choice;
      choice.path = path_from(folder, item);
      choice.role = role;
      intel.files.push_back(std::move(choice));
    });
  };
}

} // namespace

IntelConfig read_intel(const YAML::Node &node, const std::filesystem::path &folder) {
  IntelConfig intel;
  const auto files = [&](const YAML::Node &value) {
    read_list(value, [&](const auto &item) { intel.files.push_back(read_file(item, folder)); });
  };
  if (!node.IsMap()) {
    files(node);
    return intel;
  }
  const auto feeds = [&](const YAML::Node &value) {
    read_list(value, [&](const auto &item) {
      auto feed = read_feed(item, folder);
      if (std::any_of(intel.feeds.begin(), intel.feeds.end(),
                      [&](const IntelFeed &other) { return other.name == feed.name; })) {
        reject(item, "two feeds are called '" + feed.name + "'; give this one another name");
      }
      const auto same =
          std::find_if(intel.feeds.begin(), intel.feeds.end(), [&](const IntelFeed &other) {
            return other.source.url == feed.source.url && other.source.kind == feed.source.kind;
          });
      if (same != intel.feeds.end()) {
        reject(item, "'" + same->name +
                         "' and this feed have one URL and kind, so one copy: " + "name it once");
      }
      intel.feeds.push_back(std::move(feed));
    });
  };
  read_mapping(node, {{"files", files},
                      {"feeds", feeds},
                      {"allowlists", guards_into(intel, FeedRole::Allowlist, folder)},
                      {"warninglists", guards_into(intel, FeedRole::WarningList, folder)},
                      {"changes", path_into(intel.changes, folder)},
                      {"cache", path_into(intel.cache, folder)},
                      {"most_lost_percent", [&](const auto &value) {
                         intel.most_lost_percent = read_number(value, 0U, 100U);
                       }}});
  return intel;
}

} // namespace outguard::daemon
