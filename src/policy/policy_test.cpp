// A policy judges as written: every condition right and wrong, and what is not known.
#include <gtest/gtest.h>

#include "policy/explanation.h"
#include "policy/flow_policy.h"
#include "policy/link_upkeep.h"
#include "policy/policy_wire.h"

namespace outguard::policy {
namespace {

Endpoint at(const char *text) {
  return Endpoint::parse(text).value();
}

/// curl of user 33 in a unit goes out by TCP to 9.9.9.9:443.
struct Seen {
  Attribution attribution;
  FlowFacts flow;

  Seen() {
    attribution.status = AttributionStatus::Exact;
    add("curl", "/usr/bin/curl");
    attribution.ancestors = {{2, GuestText("bash")}, {1, GuestText("systemd")}};
    flow.tuple = {6, at("10.0.0.2:4000"), at("9.9.9.9:443")};
    flow.attribution = &attribution;
  }
  Seen(const Seen &) = delete;

  ProcessSeen &process() { return attribution.processes.front(); }
  void add(const char *comm, const char *exe) {
    ProcessSeen &process = attribution.processes.emplace_back();
    process.identity.pid = static_cast<std::int32_t>(attribution.processes.size()) + 9;
    process.comm = GuestText(comm);
    process.exe = GuestText(exe);
    process.credentials.emplace().uid = 33;
    process.container = GuestText();
    process.unit = GuestText("web.service");
  }
};

Rule allowing() {
  Rule rule;
  rule.name = "this";
  return rule;
}

FlowPolicy denying(std::vector<Rule> rules) {
  PolicyParts parts;
  parts.otherwise = Actions(Action::Block);
  parts.rules = std::move(rules);
  return FlowPolicy::make(std::move(parts)).value();
}

Truth fits(const Rule &rule, const FlowFacts &flow) {
  const auto verdict = denying({rule}).judge(flow);
  switch (verdict.by) {
  case Verdict::By::Rule:
    return Truth::Yes;
  case Verdict::By::Default:
    return Truth::No;
  case Verdict::By::Unknown:
    break;
  }
  return Truth::Unknown;
}

template <class List, class Item> Truth fits_with(List Rule::*list, Item item, const Seen &seen) {
  Rule rule = allowing();
  (rule.*list).push_back(item);
  return fits(rule, seen.flow);
}

TEST(Conditions, DirectionIsOfWhoBegan) {
  Seen seen;
  Rule rule = allowing();
  rule.direction = FlowDirection::ToRemote;
  EXPECT_EQ(fits(rule, seen.flow), Truth::Yes);
  seen.flow.initiator = FlowDirection::ToGuest;
  EXPECT_EQ(fits(rule, seen.flow), Truth::No);
}

TEST(Conditions, Protocol) {
  Seen seen;
  EXPECT_EQ(fits_with(&Rule::protocols, std::uint8_t{6}, seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::protocols, std::uint8_t{17}, seen), Truth::No);
}

TEST(Conditions, RemoteNetworksOfBothFamilies) {
  Seen seen;
  const auto network = [](const char *text) { return IpNetwork::parse(text).value(); };
  EXPECT_EQ(fits_with(&Rule::remotes, network("9.9.9.9"), seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::remotes, network("9.9.8.0/23"), seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::remotes, network("9.9.8.0/24"), seen), Truth::No);
  EXPECT_EQ(fits_with(&Rule::remotes, network("0.0.0.0/0"), seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::remotes, network("::/0"), seen), Truth::No);
  EXPECT_EQ(fits_with(&Rule::remotes, network("10.0.0.2"), seen), Truth::No) << "the local end";
  seen.flow.tuple.remote = at("[2001:db8::1]:443");
  EXPECT_EQ(fits_with(&Rule::remotes, network("2001:db8::/32"), seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::remotes, network("2001:db9::/32"), seen), Truth::No);
  seen.flow.tuple.remote = at("[::ffff:9.9.9.9]:443");
  EXPECT_EQ(fits_with(&Rule::remotes, network("9.9.9.9"), seen), Truth::Yes);
}

TEST(Conditions, PortIsTheOneThatTheFlowWasBegunTo) {
  Seen seen;
  using Ports = Range<std::uint16_t>;
  EXPECT_EQ(fits_with(&Rule::ports, Ports{443, 443}, seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::ports, Ports{440, 443}, seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::ports, Ports{443, 500}, seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::ports, Ports{444, 500}, seen), Truth::No);
  EXPECT_EQ(fits_with(&Rule::ports, Ports{4000, 4000}, seen), Truth::No);
  seen.flow.initiator = FlowDirection::ToGuest;
  EXPECT_EQ(fits_with(&Rule::ports, Ports{4000, 4000}, seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::ports, Ports{443, 443}, seen), Truth::No);
  seen.flow.tuple.protocol = 1; // ICMP: types, not ports
  EXPECT_EQ(fits_with(&Rule::ports, Ports{0, 65535}, seen), Truth::No);
}

TEST(Conditions, HostIsUnknownUntilANameOrTheEndCame) {
  Seen seen;
  const std::string host = "*.example.com";
  EXPECT_EQ(fits_with(&Rule::hosts, host, seen), Truth::Unknown);
  seen.flow.host = "a.example.com";
  EXPECT_EQ(fits_with(&Rule::hosts, host, seen), Truth::Yes);
  seen.flow.host = "a.example.org";
  EXPECT_EQ(fits_with(&Rule::hosts, host, seen), Truth::No);
  seen.flow.host = "";
  EXPECT_EQ(fits_with(&Rule::hosts, host, seen), Truth::No);
}

TEST(Conditions, ExeThenAndNow) {
  Seen seen;
  const std::string exe = "/usr/bin/curl";
  EXPECT_EQ(fits_with(&Rule::exes, exe, seen), Truth::Yes);
  seen.process().earlier_exe = GuestText("/tmp/x");
  EXPECT_EQ(fits_with(&Rule::exes, exe, seen), Truth::Unknown);
  seen.process().exe.reset();
  EXPECT_EQ(fits_with(&Rule::exes, exe, seen), Truth::No) << "what it ran then is known";
  seen.process().earlier_exe = GuestText(exe);
  EXPECT_EQ(fits_with(&Rule::exes, exe, seen), Truth::Yes);
  seen.process().earlier_exe.reset();
  EXPECT_EQ(fits_with(&Rule::exes, exe, seen), Truth::Unknown);
  seen.process().exe = GuestText("/usr/bin/curlx");
  EXPECT_EQ(fits_with(&Rule::exes, exe, seen), Truth::No);
}

TEST(Conditions, CommUidUnit) {
  Seen seen;
  using Uids = Range<std::uint32_t>;
  EXPECT_EQ(fits_with(&Rule::comms, "cur*", seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::comms, "wget", seen), Truth::No);
  EXPECT_EQ(fits_with(&Rule::uids, Uids{33, 33}, seen), Truth::Yes) << "the real one";
  EXPECT_EQ(fits_with(&Rule::uids, Uids{0, 0}, seen), Truth::No);
  EXPECT_EQ(fits_with(&Rule::units, "web.service", seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::units, "db.service", seen), Truth::No);
  seen.process().credentials.reset();
  seen.process().unit.reset();
  EXPECT_EQ(fits_with(&Rule::uids, Uids{33, 33}, seen), Truth::Unknown);
  EXPECT_EQ(fits_with(&Rule::units, "web.service", seen), Truth::Unknown);
}

TEST(Conditions, HashOfTheFirstProcessOnly) {
  Seen seen;
  Sha256 hash{1, 2, 3};
  EXPECT_EQ(fits_with(&Rule::sha256s, hash, seen), Truth::Unknown);
  seen.flow.sha256 = &hash;
  EXPECT_EQ(fits_with(&Rule::sha256s, hash, seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::sha256s, Sha256{1, 2, 4}, seen), Truth::No);
  seen.add("other", "/usr/bin/curl");
  EXPECT_EQ(fits_with(&Rule::sha256s, hash, seen), Truth::Unknown);
}

TEST(Conditions, Container) {
  Seen seen;
  const auto fits = [&](const char *wanted) { return fits_with(&Rule::containers, wanted, seen); };
  EXPECT_EQ(fits("none"), Truth::Yes);
  EXPECT_EQ(fits("any"), Truth::No);
  const std::string id = "0123456789ab" + std::string(52, 'c');
  seen.process().container = GuestText(id);
  EXPECT_EQ(fits("none"), Truth::No);
  EXPECT_EQ(fits("any"), Truth::Yes);
  EXPECT_EQ(fits(id.c_str()), Truth::Yes);
  EXPECT_EQ(fits("0123456789ab"), Truth::Yes);
  EXPECT_EQ(fits("0123456789a"), Truth::No) << "too short for an id's beginning";
  EXPECT_EQ(fits("0123456789ad"), Truth::No);
  seen.process().container = GuestText("web-and-database");
  EXPECT_EQ(fits("web-and-database"), Truth::Yes);
  EXPECT_EQ(fits("web-and-data"), Truth::No) << "a name is no prefix of another";
  seen.process().container.reset();
  EXPECT_EQ(fits("none"), Truth::Unknown);
}

TEST(Conditions, AncestorAmongThoseRead) {
  Seen seen;
  EXPECT_EQ(fits_with(&Rule::ancestors, "systemd", seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::ancestors, "sshd", seen), Truth::No);
  seen.attribution.ancestors_cut = true;
  EXPECT_EQ(fits_with(&Rule::ancestors, "systemd", seen), Truth::Yes);
  EXPECT_EQ(fits_with(&Rule::ancestors, "sshd", seen), Truth::Unknown);
}

TEST(FlowPolicy, FirstRuleThatFitsDecides) {
  Seen seen;
  Rule web = allowing(), all = allowing();
  web.exes = {"/usr/bin/curl"};
  all.name = "all";
  all.actions = Actions(Action::Kill);
  EXPECT_TRUE(denying({web, all}).judge(seen.flow).actions.allow());
  const auto policy = denying({all, web});
  EXPECT_EQ(policy.judge(seen.flow).actions, Actions(Action::Kill));
  EXPECT_EQ(policy.decided_by(policy.judge(seen.flow)), "all");
}

TEST(FlowPolicy, UnknownDecidesOnlyWhereItMakesADifference) {
  Seen seen;
  seen.flow.attribution = nullptr;
  Rule curl = allowing();
  curl.exes = {"/usr/bin/curl"};
  const auto open = denying({curl}).judge(seen.flow);
  EXPECT_EQ(open.by, Verdict::By::Unknown);
  EXPECT_EQ(open.actions, Actions(Action::Alert)) << "never blocked by accident";
  EXPECT_EQ(open.missing, static_cast<std::uint8_t>(Missing::Process));
  Rule rest = allowing();
  rest.name = "rest";
  const auto either_way = denying({curl, rest}).judge(seen.flow);
  EXPECT_EQ(either_way.by, Verdict::By::Rule);
  EXPECT_TRUE(either_way.actions.allow());
  EXPECT_EQ(either_way.missing, 0);
  curl.ports = {{80, 80}};
  EXPECT_EQ(denying({curl}).judge(seen.flow).by, Verdict::By::Default) << "a No beside settles it";
}

TEST(FlowPolicy, AnyRuleThatMayFitAndWantsOtherwiseLeavesItOpen) {
  Seen seen;
  seen.flow.attribution = nullptr;
  Rule same_as_default = allowing(), other = allowing();
  same_as_default.actions = Actions(Action::Block);
  same_as_default.comms = {"wget"};
  EXPECT_EQ(denying({same_as_default}).judge(seen.flow).actions, Actions(Action::Block));
  other.name = "other";
  other.comms = {"curl"};
  EXPECT_EQ(denying({same_as_default, other}).judge(seen.flow).by, Verdict::By::Unknown);
}

TEST(FlowPolicy, UnknownIsWhatThePolicySays) {
  Seen seen;
  seen.flow.attribution = nullptr;
  PolicyParts parts;
  parts.otherwise = Actions(Action::Alert);
  parts.unknown = Actions(Action::Block);
  parts.rules = {allowing()};
  parts.rules[0].comms = {"curl"};
  EXPECT_EQ(FlowPolicy::make(parts).value().judge(seen.flow).actions, Actions(Action::Block));
}

TEST(FlowPolicy, OnlyAnAnswerAboutThisFlowNamesSomebody) {
  Rule curl = allowing();
  curl.comms = {"curl"};
  for (const auto status : {AttributionStatus::Cached, AttributionStatus::OwnerGone,
                            AttributionStatus::NotFound, AttributionStatus::Unavailable}) {
    Seen seen;
    seen.attribution.status = status;
    EXPECT_EQ(fits(curl, seen.flow), Truth::Unknown) << to_string(status);
  }
  Seen seen;
  seen.attribution.status = AttributionStatus::Listener;
  EXPECT_EQ(fits(curl, seen.flow), Truth::Yes);
  seen.process().torn = true;
  EXPECT_EQ(fits(curl, seen.flow), Truth::Unknown);
  seen.process().torn = false;
  seen.attribution.processes.clear();
  EXPECT_EQ(fits(curl, seen.flow), Truth::Unknown);
}

TEST(FlowPolicy, EveryHolderMustBeAllowed) {
  Seen seen;
  seen.add("evil", "/tmp/evil");
  Rule curl = allowing();
  curl.exes = {"/usr/bin/curl"};
  const auto verdict = denying({curl}).judge(seen.flow);
  EXPECT_EQ(verdict.actions, Actions(Action::Block));
  EXPECT_EQ(verdict.process, 1U);
  seen.attribution.ambiguous = true; // one of the two has a flow of its own that looks the same
  EXPECT_EQ(denying({curl}).judge(seen.flow).by, Verdict::By::Unknown);
  curl.exes.emplace_back("/tmp/evil");
  EXPECT_TRUE(denying({curl}).judge(seen.flow).actions.allow());
}

TEST(FlowPolicy, HoldersBeyondTheCapAreNotTakenForAllowed) {
  Seen seen;
  while (seen.attribution.processes.size() <= FlowPolicy::kMostHolders) {
    seen.add("curl", "/usr/bin/curl");
  }
  Rule curl = allowing();
  curl.exes = {"/usr/bin/curl"};
  EXPECT_EQ(fits(curl, seen.flow), Truth::Unknown);
  seen.attribution.processes.pop_back();
  EXPECT_EQ(fits(curl, seen.flow), Truth::Yes);
}

std::string problem_with(void (*spoil)(Rule &)) {
  PolicyParts parts;
  parts.rules = {allowing()};
  spoil(parts.rules[0]);
  const auto policy = FlowPolicy::make(parts);
  return policy ? "" : policy.error().message;
}

TEST(FlowPolicy, RefusesWhatMakesNoSense) {
  EXPECT_EQ(problem_with([](Rule &) {}), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.name.clear(); }), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.name = "default"; }), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.name = "a\033[2J"; }), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.ports = {{2, 1}}; }), "");
  EXPECT_NE(problem_with([](Rule &rule) {
              rule.ports = {{1, 1}};
              rule.protocols = {1};
            }),
            "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.remotes = {{IpAddress(), 33}}; }), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.hosts = {"a.*.example"}; }), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.exes = {"curl"}; }), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.exes = {""}; }), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.comms = {"sixteen-bytes-xx"}; }), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.uids = {{2, 1}}; }), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.direction = static_cast<FlowDirection>(2); }), "");
  EXPECT_NE(problem_with([](Rule &rule) { rule.protocols.resize(FlowPolicy::kMostItems + 1); }),
            "");
  PolicyParts twice;
  twice.rules = {allowing(), allowing()};
  EXPECT_FALSE(FlowPolicy::make(twice));
}

TEST(PolicyWire, ComesBackAsItWas) {
  Rule rule = allowing();
  rule.actions = Actions(Action::Suspend);
  rule.direction = FlowDirection::ToGuest;
  rule.protocols = {17};
  rule.remotes = {IpNetwork::parse("2001:db8::/32").value()};
  rule.ports = {{1, 2}};
  rule.hosts = {"*.a"};
  rule.exes = {"/x"};
  rule.comms = {"c"};
  rule.sha256s = {Sha256{9}};
  rule.uids = {{3, 4}};
  rule.containers = {"any"};
  rule.units = {"u"};
  rule.ancestors = {"p"};
  const auto policy = denying({rule});
  const auto bytes = encode(policy);
  const auto again = decode(bytes);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->parts(), policy.parts());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode(std::span(bytes).first(size))) << size;
  }
  auto more = bytes;
  more.push_back(0);
  EXPECT_FALSE(decode(more));
  more = bytes;
  more[0] = 0x20; // an action that does not exist
  EXPECT_FALSE(decode(more));
}

TEST(Explanation, NamesWhatFailedAndEscapesTheGuest) {
  Seen seen;
  seen.process().comm = GuestText("a\033[2J");
  Rule rule = allowing();
  rule.ports = {{80, 80}, {8000, 8100}};
  rule.exes = {"/usr/bin/curl"};
  const auto explained = explain(denying({rule}), seen.flow);
  EXPECT_EQ(explained.decided_by, "default");
  ASSERT_EQ(explained.holders.size(), 1U);
  EXPECT_EQ(explained.holders[0].process, "pid 10 a\\x1b[2J (/usr/bin/curl)");
  const auto &of = explained.holders[0].rules.at(0);
  EXPECT_EQ(of.truth, Truth::No);
  ASSERT_EQ(of.conditions.size(), 2U);
  EXPECT_EQ(of.conditions[0].wanted, "80, 8000-8100");
  EXPECT_EQ(of.conditions[0].observed, "443");
  EXPECT_EQ(of.conditions[0].truth, Truth::No);
  EXPECT_EQ(of.conditions[1].truth, Truth::Yes);
}

TEST(Explanation, SaysWhatWasMissing) {
  Seen seen;
  Rule rule = allowing();
  rule.sha256s = {Sha256{}};
  rule.hosts = {"a.example"};
  const auto explained = explain(denying({rule}), seen.flow);
  EXPECT_EQ(explained.reason, "not decided, as not known: the executable's hash, the name it goes "
                              "to (pid 10 curl (/usr/bin/curl))");
  EXPECT_EQ(explained.holders[0].rules[0].truth, Truth::Unknown);
}

TEST(LinkUpkeep, IsWhatStaysOnTheLink) {
  const auto is = [](const char *asking, const char *asked, std::uint8_t protocol,
                     std::uint16_t type) {
    FlowTuple tuple;
    tuple.protocol = protocol;
    tuple.local = {*IpAddress::parse(asking), type};
    tuple.remote = {*IpAddress::parse(asked), 0};
    const bool from_guest = is_link_upkeep(tuple, FlowDirection::ToRemote);
    std::swap(tuple.local, tuple.remote);
    EXPECT_EQ(is_link_upkeep(tuple, FlowDirection::ToGuest), from_guest) << asked;
    return from_guest;
  };
  EXPECT_TRUE(is("::", "ff02::16", 58, 143));
  EXPECT_TRUE(is("fe80::2", "ff02::2", 58, 133));
  EXPECT_TRUE(is("2001:db8::2", "ff02::1:ff00:1", 58, 135));
  EXPECT_TRUE(is("fe80::2", "fe80::1", 58, 136));
  EXPECT_TRUE(is("10.0.0.2", "224.0.0.22", 2, 0));
  EXPECT_FALSE(is("fe80::2", "ff02::1", 58, 128)) << "an echo asks a process's question";
  EXPECT_FALSE(is("fe80::2", "ff02::1", 58, 138));
  EXPECT_FALSE(is("2001:db8::2", "2001:db8::1", 58, 135)) << "it may leave the link";
  EXPECT_FALSE(is("2001:db8::2", "ff05::2", 58, 135)) << "site scope";
  EXPECT_FALSE(is("fe80::2", "ff02::1", 17, 135));
  EXPECT_FALSE(is("10.0.0.2", "224.0.1.1", 2, 0));
  EXPECT_FALSE(is("10.0.0.2", "239.1.1.1", 2, 0));
}

} // namespace
} // namespace outguard::policy
