// Policies as files: what is taken, and where and why the rest is refused.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "policy/files/policy_file.h"

namespace outguard::policy {
namespace {

class PolicyFiles : public ::testing::Test {
protected:
  PolicyFiles() : folder_(::testing::TempDir() + "policies-" + std::to_string(::getpid())) {
    std::filesystem::create_directory(folder_);
  }
  ~PolicyFiles() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string &name, const std::string &text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  Result<PolicyFile> read(const std::string &text) { return read_policy(write("x.yaml", text)); }
  /// What is wrong, from the line on.
  std::string refusal(const std::string &text) {
    const auto file = read(text);
    return file ? "taken" : file.error().message.substr(folder_.size() + sizeof "/x.yaml");
  }
  /// Of a file whose third line is the rule.
  std::string rule_refusal(const std::string &rule) {
    return refusal("vm: a\ndefault: deny\nrules: [{name: r, action: allow, " + rule + "}]\n");
  }

  std::string folder_;
};

constexpr const char *kFiveLines = R"(vm: web1
default: deny
rules:
  - {name: web, action: allow, exe: /usr/sbin/nginx, direction: in, protocol: tcp, port: 443}
  - {name: names, action: allow, protocol: udp, remote: 10.0.0.1, port: 53}
)";

TEST_F(PolicyFiles, DefaultDenyIsFiveLines) {
  const auto file = read(std::string(kFiveLines) + R"(tests:
  - {flow: "tcp 10.0.0.2:443 <- 9.9.9.9:4000", exe: /usr/sbin/nginx, expect: allow, rule: web}
  - {flow: "tcp 10.0.0.2:443 <- 9.9.9.9:4000", exe: /tmp/x, expect: block, rule: default}
  - {flow: "tcp 10.0.0.2:443 <- 9.9.9.9:4000", expect: alert, rule: unknown}
  - {flow: "udp 10.0.0.2:9999 -> 10.0.0.1:53", expect: allow}
  - {flow: "icmp 10.0.0.2 -> 10.0.0.1", expect: block}
  - {flow: "tcp [2001:db8::2]:443 <- [2001:db8::9]:1", exe: /usr/sbin/nginx, expect: allow}
)");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->vms, std::vector<std::string>{"web1"});
  EXPECT_EQ(file->policy.parts().rules.size(), 2U);
  EXPECT_EQ(file->tests.size(), 6U);
  EXPECT_EQ(failed_tests(*file), std::vector<std::string>{});
}

TEST_F(PolicyFiles, AFailedTestSaysWhereAndWhy) {
  const auto file = read(std::string(kFiveLines) + R"(tests:
  - {flow: "udp 10.0.0.2:9999 -> 10.0.0.1:54", exe: /bin/x, expect: allow}
  - {flow: "udp 10.0.0.2:9999 -> 10.0.0.1:53", expect: allow, rule: web}
)");
  ASSERT_TRUE(file) << file.error().message;
  const auto failures = failed_tests(*file);
  ASSERT_EQ(failures.size(), 2U);
  EXPECT_EQ(failures[0], file->path + ":7:5: expected allow, got block by default: no rule fits "
                                      "pid 0 x (/bin/x)");
  EXPECT_NE(failures[1].find("expected allow by web, got allow by names"), std::string::npos);
}

TEST_F(PolicyFiles, EveryKeyOfARule) {
  const auto file = read(R"(vm: [a, b]
default: alert
unknown: block
rules:
  - name: all
    action: [block, kill]
    direction: out
    protocol: [tcp, 17]
    remote: [10.0.0.0/8, "2001:db8::/32"]
    port: [80, 8000-8100]
    host: ["*.example.com", example.org]
    exe: [/usr/bin/*, /opt/]
    comm: cur*
    sha256: 000102030405060708090A0B0C0D0E0F000102030405060708090a0b0c0d0e0f
    uid: [0, 1000-1999]
    container: any
    unit: web.service
    ancestor: [sshd, bash]
)");
  ASSERT_TRUE(file) << file.error().message;
  const PolicyParts &parts = file->policy.parts();
  EXPECT_EQ(parts.otherwise.words(), "alert");
  EXPECT_EQ(parts.unknown.words(), "block");
  const Rule &rule = parts.rules.at(0);
  EXPECT_EQ(rule.actions.words(), "block, kill");
  EXPECT_EQ(rule.direction, FlowDirection::ToRemote);
  EXPECT_EQ(rule.protocols, (std::vector<std::uint8_t>{6, 17}));
  EXPECT_EQ(rule.remotes.size(), 2U);
  EXPECT_EQ(rule.ports, (std::vector<Range<std::uint16_t>>{{80, 80}, {8000, 8100}}));
  EXPECT_EQ(rule.hosts.size(), 2U);
  EXPECT_EQ(rule.exes.size(), 2U);
  EXPECT_EQ(rule.comms, std::vector<std::string>{"cur*"});
  EXPECT_EQ(rule.sha256s.at(0)[15], 15);
  EXPECT_EQ(rule.uids, (std::vector<Range<std::uint32_t>>{{0, 0}, {1000, 1999}}));
  EXPECT_EQ(rule.containers, std::vector<std::string>{"any"});
  EXPECT_EQ(rule.units, std::vector<std::string>{"web.service"});
  EXPECT_EQ(rule.ancestors.size(), 2U);
}

TEST_F(PolicyFiles, RefusedWithPlaceAndHint) {
  EXPECT_EQ(refusal("vm: a\ndefalt: deny\n"), "2:1: unknown key 'defalt'; did you mean 'default'?");
  EXPECT_EQ(refusal("vm: a\nvm: b\ndefault: deny\n"), "2:1: key 'vm' stands twice");
  EXPECT_EQ(refusal("vm: a\ndefault: block\n"), "2:10: expected one of allow, alert, deny");
  EXPECT_EQ(refusal("default: deny\n"),
            "1:1: a policy needs a vm: a name, a list of names, or \"*\" for every other");
  EXPECT_EQ(refusal("vm: a\n"), "1:1: a policy needs a default: allow, alert or deny");
  EXPECT_NE(refusal(""), "taken");
  EXPECT_EQ(refusal("vm: a\ndefault: deny\n---\nvm: b\ndefault: deny\n"),
            "4:1: a second document; a file holds one");
  EXPECT_EQ(refusal("vm: a\ndefault: deny\nrules:\n  - {name: x}\n"),
            "4:5: a rule needs an action: allow, alert, block, suspend, kill or isolate");
  EXPECT_EQ(refusal("vm: a\ndefault: deny\nrules:\n  - {name: x, action: alow}\n"),
            "4:23: expected one of allow, alert, block, suspend, kill, isolate; did you mean "
            "'allow'?");
  EXPECT_EQ(refusal("vm: a\ndefault: deny\nrules:\n  - {name: x, action: [allow, kill]}\n"),
            "4:24: allow and alert stand alone; whatever is not allowed raises an alert");
  EXPECT_EQ(refusal("vm: a\ndefault: deny\nrules:\n  - {name: x, action: allow}\n"
                    "  - {name: y, action: kill}\n"),
            "5:5: never reached: rule 'x' before it fits everything");
  EXPECT_EQ(refusal("vm: a\ndefault: deny\nrules:\n  - {name: x, action: allow, uid: 1}\n"
                    "  - {name: x, action: kill}\n"),
            "5:5: two rules are named 'x'");
  EXPECT_NE(refusal("vm: [a\n"), "taken");
  EXPECT_NE(refusal("vm: a\ndefault: deny\nrules: [*nowhere]\n"), "taken");
}

TEST_F(PolicyFiles, RefusesValuesThatNeverFit) {
  EXPECT_EQ(rule_refusal("uid: 0"), "taken");
  for (const char *bad :
       {"port: 65536", "port: 9-8", "port: ''", "port: []", "port: 80x", "uid: -1",
        "remote: 10.0.0.1/8", "remote: localhost", "protocol: tpc", "protocol: 256",
        "protocol: icmp, port: 80", "host: '*'", "exe: curl", "comm: longer-than-15-bytes",
        "sha256: abc", "direction: inbound", "exe: {a: b}"}) {
    EXPECT_EQ(rule_refusal(bad).substr(0, 2), "3:") << bad << ": " << rule_refusal(bad);
  }
}

TEST_F(PolicyFiles, RefusesTestsThatMakeNoSense) {
  const auto test = [&](const std::string &body) {
    return refusal("vm: a\ndefault: deny\ntests:\n  - {" + body + "}\n");
  };
  EXPECT_EQ(test("flow: 'tcp 10.0.0.1:1 -> 10.0.0.2:2', expect: block"), "taken");
  EXPECT_EQ(test("flow: 'tcp 10.0.0.1:1 10.0.0.2:2', expect: block, host: ''"), "taken");
  EXPECT_NE(test("flow: 'tcp 10.0.0.1 -> 10.0.0.2', expect: block"), "taken");
  EXPECT_NE(test("flow: 'tcp 10.0.0.1:1 -> [::1]:2', expect: block"), "taken");
  EXPECT_NE(test("flow: 'tcp 10.0.0.1:1 => 10.0.0.2:2', expect: block"), "taken");
  EXPECT_NE(test("flow: 'tcp 10.0.0.1:1'"), "taken");
  EXPECT_EQ(test("flow: 'tcp 10.0.0.1:1 -> 10.0.0.2:2', expect: block, rule: web"),
            "4:5: no rule is named 'web'");
}

TEST_F(PolicyFiles, AFolderIsItsYamlFilesAndNoVmIsGovernedTwice) {
  write("b.yaml", kFiveLines);
  write("a.yml", "vm: [db1, web1]\ndefault: allow\n");
  write("notes.txt", "not read");
  const auto paths = policy_paths(folder_);
  ASSERT_TRUE(paths);
  ASSERT_EQ(*paths, (std::vector{folder_ + "/a.yml", folder_ + "/b.yaml"}));
  std::vector<PolicyFile> files;
  for (const auto &path : *paths) {
    files.push_back(read_policy(path).value());
  }
  EXPECT_EQ(overlap(files),
            folder_ + "/b.yaml: vm 'web1' is governed by " + folder_ + "/a.yml already");
  files.pop_back();
  EXPECT_EQ(overlap(files), "");
  EXPECT_FALSE(read_policy(folder_));
  EXPECT_FALSE(read_policy(folder_ + "/none.yaml"));
}

} // namespace
} // namespace outguard::policy
