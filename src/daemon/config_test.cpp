#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "daemon/config.h"

namespace outguard::daemon {
namespace {

class ConfigFile {
public:
  explicit ConfigFile(const std::string &text) {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("outguard-config-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
    std::ofstream(path_) << text;
  }
  ~ConfigFile() { std::filesystem::remove(path_); }
  ConfigFile(const ConfigFile &) = delete;
  ConfigFile &operator=(const ConfigFile &) = delete;

  [[nodiscard]] Result<Config> load() const { return load_config(path_.string()); }
  [[nodiscard]] std::string beside(const std::string &name) const {
    return (path_.parent_path() / name).string();
  }

private:
  std::filesystem::path path_;
};

/// "LINE:COLUMN: what is wrong", without the path; empty: it was taken.
std::string complaint(const std::string &text) {
  const auto config = ConfigFile(text).load();
  if (config) {
    return "";
  }
  const auto &message = config.error().message;
  return message.substr(message.find(':') + 1);
}

TEST(Config, AListOfFilesIsEnough) {
  const ConfigFile file(
      "intel:\n  - /etc/a\n  - {path: b.csv, format: csv, allow_reserved: true}\n");
  const auto config = file.load();
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->intel.files.size(), 2U);
  EXPECT_EQ(config->intel.files[0].path, "/etc/a");
  EXPECT_EQ(config->intel.files[1].path, file.beside("b.csv"));
  EXPECT_EQ(config->intel.files[1].format, "csv");
  EXPECT_TRUE(config->intel.files[1].allow_reserved);
  EXPECT_EQ(config->intel.changes, "/var/lib/outguard/intel");
  EXPECT_EQ(config->intel.most_lost_percent, 50U);
}

TEST(Config, WhereItCanBeAsked) {
  EXPECT_EQ(ConfigFile("").load()->run_folder, "/run/outguard");
  const ConfigFile file("run_folder: mine\n");
  EXPECT_EQ(file.load()->run_folder, file.beside("mine"));
}

TEST(Config, AllOfResponse) {
  const auto at = [](const auto &table, ResponseAction action) {
    return table[static_cast<std::size_t>(action)];
  };
  const auto plain = ConfigFile("").load();
  ASSERT_TRUE(plain);
  EXPECT_EQ(at(plain->approvals, ResponseAction::Kill), ApprovalRule::Auto);
  EXPECT_EQ(at(plain->actions.budgets, ResponseAction::Kill).vm, 5U);
  EXPECT_FALSE(at(plain->actions.budgets, ResponseAction::BlockFlow).vm);
  const auto config = ConfigFile(R"(
response:
  approvals: {kill: never, default: approve, reset: auto}
  approval_time: 10m
  budgets:
    kill: {vm: 1, host: none}
    block_remote: {rule: 100}
  breaker_rest: 1h
  cool_down: 2h
)")
                          .load();
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(at(config->approvals, ResponseAction::Kill), ApprovalRule::Never);
  EXPECT_EQ(at(config->approvals, ResponseAction::Reset), ApprovalRule::Auto);
  EXPECT_EQ(at(config->approvals, ResponseAction::Isolate), ApprovalRule::Approve);
  const auto kills = at(config->actions.budgets, ResponseAction::Kill);
  EXPECT_EQ(kills.vm, 1U);
  EXPECT_EQ(kills.rule, 20U);
  EXPECT_FALSE(kills.host);
  EXPECT_EQ(at(config->actions.budgets, ResponseAction::BlockRemote).rule, 100U);
  EXPECT_EQ(config->actions.approval_time, std::chrono::minutes(10));
  EXPECT_EQ(config->actions.breaker_rest, std::chrono::hours(1));
  EXPECT_EQ(config->actions.cool_down, std::chrono::hours(2));
  EXPECT_EQ(complaint("response: {approvals: {kill: aproove}}\n"),
            "1:30: expected one of auto, approve, never; did you mean 'approve'?");
  EXPECT_EQ(complaint("response: {approvals: {release: auto}}\n").find("1:24: unknown key"), 0U);
  EXPECT_EQ(complaint("response: {budgets: {kill: {vm: many}}}\n"),
            "1:33: expected a number from 0 to 10000");
}

TEST(Config, AllOfIntel) {
  const ConfigFile file(R"(
intel:
  files: [/etc/a]
  feeds:
    - https://feeds.example/list.txt?token=1
    - url: https://taxii.example/api/collections/1/
      name: partner
      kind: taxii
      interval: 15m
      format: stix
      key_file: partner.key
      ca_file: /etc/ca.pem
      proxy: http://proxy.example:3128
  allowlists: [allow]
  warninglists: [/usr/share/warninglists]
  changes: /srv/changes
  cache: feeds
  most_lost_percent: 20
)");
  const auto config = file.load();
  ASSERT_TRUE(config) << config.error().message;
  const auto &intel = config->intel;
  ASSERT_EQ(intel.files.size(), 3U);
  EXPECT_EQ(intel.files[1].role, FeedRole::Allowlist);
  EXPECT_EQ(intel.files[1].path, file.beside("allow"));
  EXPECT_EQ(intel.files[2].role, FeedRole::WarningList);
  ASSERT_EQ(intel.feeds.size(), 2U);
  EXPECT_EQ(intel.feeds[0].name, "https://feeds.example/list.txt"); // no key in the log
  EXPECT_EQ(intel.feeds[0].source.url, "https://feeds.example/list.txt?token=1");
  EXPECT_EQ(intel.feeds[0].source.interval, std::chrono::hours(1));
  const auto &partner = intel.feeds[1];
  EXPECT_EQ(partner.name, "partner");
  EXPECT_EQ(partner.source.kind, FeedKind::Taxii);
  EXPECT_EQ(partner.source.interval, std::chrono::minutes(15));
  EXPECT_EQ(partner.format, "stix");
  EXPECT_EQ(partner.source.key_file, file.beside("partner.key"));
  EXPECT_EQ(partner.source.ca_file, "/etc/ca.pem");
  EXPECT_EQ(partner.source.proxy, "http://proxy.example:3128");
  EXPECT_EQ(intel.changes, "/srv/changes");
  EXPECT_EQ(intel.cache, file.beside("feeds"));
  EXPECT_EQ(intel.most_lost_percent, 20U);
}

TEST(Config, WhatIsWrongWithIntelIsSaidWithItsPlace) {
  const std::string feed = "intel:\n  feeds:\n    - ";
  for (const auto &[text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"intel: /etc/a\n", "1:8: expected a list"},
           {"intel:\n  feed: []\n", "2:3: unknown key 'feed'; did you mean 'feeds'?"},
           {"intel:\n  most_lost_percent: 101\n", "2:22: expected a number from 0 to 100"},
           {"intel: [{format: csv}]\n", "1:9: a feed needs a path"},
           {feed + "ftp://a/b\n", "3:7: expected a URL that starts with https:// or http://"},
           {feed + "/etc/a\n", "3:7: expected a URL that starts with https:// or http://"},
           {feed + "https:///b\n", "3:7: the URL names no host"},
           {feed + "https://me:secret@a/b\n",
            "3:7: a URL carries no user or password; use key_file"},
           {feed + "{name: x}\n", "3:7: a feed needs a url"},
           {feed + "{url: 'https://a/b', interval: 60}\n",
            "3:38: expected a duration such as 90s, 10m, 1h or 2d"},
           {feed + "{url: 'https://a/b', interval: 10s}\n",
            "3:38: expected an interval from 60s to 30d"},
           {feed + "{url: 'https://a/b', kind: taxi}\n",
            "3:34: expected one of file, taxii, misp; did you mean 'taxii'?"},
           {feed + "{url: 'https://a/b', key_file: a, key_variable: B}\n",
            "3:7: a feed has a key_file or a key_variable, not both"},
           {feed + "https://a/b?k=1\n    - https://a/b?k=2\n",
            "4:7: two feeds are called 'https://a/b'; give this one another name"},
           {feed + "https://a/b\n    - {url: 'https://a/b', name: again}\n",
            "4:7: 'https://a/b' and this feed have one URL and kind, so one copy: name it once"}}) {
    EXPECT_EQ(complaint(text), expected) << text;
  }
}

} // namespace
} // namespace outguard::daemon
