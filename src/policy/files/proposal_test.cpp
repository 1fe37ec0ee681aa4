// What is proposed can be read, allows what was learned, and nothing beside it.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "policy/files/policy_file.h"
#include "policy/files/proposal.h"

namespace outguard::policy {
namespace {

PolicyFile read(const std::string &text) {
  const auto path = ::testing::TempDir() + "proposal-" + std::to_string(::getpid()) + ".yaml";
  std::ofstream(path) << text;
  auto file = read_policy(path);
  std::filesystem::remove(path);
  EXPECT_TRUE(file) << file.error().message << "\n" << text;
  return file ? *file : PolicyFile();
}

LearnedFlow out(const char *exe, std::uint16_t port, const char *remote) {
  return {exe, "", FlowDirection::ToRemote, 6, port, IpAddress::parse(remote)};
}

std::string verdict(const PolicyFile &file, const char *flow, const char *exe) {
  ProcessCase process;
  process.exe = exe;
  process.container = "none";
  return file.policy.judge(FlowCase::make(flow, process, std::nullopt).value().facts())
      .actions.words();
}

TEST(Proposal, AllowsWhatWasLearnedAndNoMore) {
  const LearnedFlow web{"/usr/sbin/nginx", "", FlowDirection::ToGuest, 6, 443, std::nullopt};
  const auto text = propose(
      "web1", {out("/usr/bin/curl", 443, "9.9.9.9"), out("/usr/bin/curl", 80, "9.9.9.9"),
               out("/usr/bin/curl", 80, "9.9.9.9"), out("/usr/bin/curl", 22, "2001:db8::1"), web});
  const auto file = read(text);
  EXPECT_EQ(file.vms, std::vector<std::string>{"web1"});
  EXPECT_EQ(file.policy.parts().rules.size(), 3U) << "ports to the same remotes share a rule\n"
                                                  << text;
  EXPECT_EQ(verdict(file, "tcp 10.0.0.2:1 -> 9.9.9.9:443", "/usr/bin/curl"), "allow");
  EXPECT_EQ(verdict(file, "tcp 10.0.0.2:1 -> 9.9.9.9:80", "/usr/bin/curl"), "allow");
  EXPECT_EQ(verdict(file, "tcp [::2]:1 -> [2001:db8::1]:22", "/usr/bin/curl"), "allow");
  EXPECT_EQ(verdict(file, "tcp 10.0.0.2:443 <- 8.8.8.8:1", "/usr/sbin/nginx"), "allow");
  EXPECT_EQ(verdict(file, "tcp 10.0.0.2:1 -> 9.9.9.9:22", "/usr/bin/curl"), "block");
  EXPECT_EQ(verdict(file, "tcp 10.0.0.2:1 -> 9.9.9.8:443", "/usr/bin/curl"), "block");
  EXPECT_EQ(verdict(file, "udp 10.0.0.2:1 -> 9.9.9.9:443", "/usr/bin/curl"), "block");
  EXPECT_EQ(verdict(file, "tcp 10.0.0.2:1 -> 9.9.9.9:443", "/usr/bin/wget"), "block");
  EXPECT_EQ(verdict(file, "tcp 10.0.0.2:443 -> 8.8.8.8:443", "/usr/sbin/nginx"), "block");
}

TEST(Proposal, ManyRemotesBecomeAny) {
  std::vector<LearnedFlow> flows;
  for (std::size_t i = 0; i <= kMostLearnedRemotes; ++i) {
    flows.push_back(out("/a", 1, ("9.9.9." + std::to_string(i)).c_str()));
  }
  EXPECT_EQ(verdict(read(propose("v", flows)), "tcp 10.0.0.2:1 -> 8.8.8.8:1", "/a"), "allow");
  flows.pop_back();
  EXPECT_EQ(verdict(read(propose("v", flows)), "tcp 10.0.0.2:1 -> 8.8.8.8:1", "/a"), "block");
}

TEST(Proposal, ManyPortsAreSeveralRules) {
  std::vector<LearnedFlow> flows;
  for (std::uint16_t port = 1; port <= 2 * FlowPolicy::kMostItems + 1; ++port) {
    flows.push_back({"/a", "", FlowDirection::ToGuest, 6, port, std::nullopt});
  }
  const auto file = read(propose("v", flows));
  EXPECT_EQ(file.policy.parts().rules.size(), 3U);
  EXPECT_EQ(verdict(file, "tcp 10.0.0.2:513 <- 8.8.8.8:1", "/a"), "allow");
  EXPECT_EQ(verdict(file, "tcp 10.0.0.2:514 <- 8.8.8.8:1", "/a"), "block");
}

TEST(Proposal, TheGuestWritesNoYaml) {
  std::vector<LearnedFlow> flows;
  for (const char *exe : {"/a\"}\nvm: x", "/tmp/*", "/tmp/", "relative", "", "/a b", "/\xff"}) {
    flows.push_back(out(exe, 1, "9.9.9.9"));
  }
  const auto text = propose("a\": b", flows);
  EXPECT_EQ(read(text).policy.parts().rules.size(), 0U) << text;
  EXPECT_NE(text.find("# Left out: 7"), std::string::npos) << text;
  EXPECT_EQ(read(propose("v", {out("/default", 1, "9.9.9.9")})).policy.parts().rules.at(0).name,
            "default-program");
}

TEST(Proposal, OfNothingDeniesAll) {
  EXPECT_EQ(verdict(read(propose("v", {})), "tcp 10.0.0.2:1 -> 8.8.8.8:1", "/a"), "block");
}

} // namespace
} // namespace outguard::policy
