// Every vector of the Community ID specification: the tables of its README, the tuples of its
// captures in base64 and in hex, and Zeek's baselines. (Seed 1 is not offered: EVE's is 0.)
#include <array>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "guest/packets/icmp_ports.h"
#include "store/community_id.h"
#include "truth/shared_data.h"

namespace outguard::truth {
namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kIcmpv6 = 58;

Endpoint at(const std::string &address, std::uint16_t port) {
  return {IpAddress::parse(address).value(), port};
}

std::uint16_t number(const std::string &text) { // "-": no port
  return text.find_first_not_of("0123456789") == std::string::npos && !text.empty()
             ? static_cast<std::uint16_t>(std::stoul(text))
             : std::uint16_t{0};
}

/// What comes of the first packet: of ICMP its type and the counterpart, as the packet path has it.
std::string id_of(std::uint8_t protocol, const std::string &from, const std::string &to,
                  std::uint16_t from_port, std::uint16_t to_port) {
  if (protocol == kIcmp || protocol == kIcmpv6) {
    const auto ports = guest::icmp_ports(protocol, static_cast<std::uint8_t>(from_port),
                                         static_cast<std::uint8_t>(to_port));
    from_port = ports.source;
    to_port = ports.destination;
  }
  return store::community_id(protocol, at(from, from_port), at(to, to_port));
}

/// "1:" and base64 as "1:" and hex.
std::string in_hex(const std::string &id) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out = "1:";
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : id.substr(2)) {
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos) {
      break; // "="
    }
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    for (count += 6; count >= 4; count -= 4) {
      out += "0123456789abcdef"[bits >> (count - 4) & 15];
    }
  }
  return out.substr(0, 2 + 40);
}

class CommunityId : public testing::Test {
protected:
  void SetUp() override {
    if (shared_data().empty()) {
      GTEST_SKIP() << kNoData;
    }
  }
  std::filesystem::path folder_ = shared_data() / "vectors/community-id/baseline";
};

TEST_F(CommunityId, TablesOfTheSpecification) {
  std::ifstream file(folder_ / "README.md");
  std::size_t plain = 0, hex = 0, seeded = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream cells(line);
    std::vector<std::string> row;
    for (std::string cell; std::getline(cells, cell, '|');) {
      const auto first = cell.find_first_not_of(' ');
      row.push_back(first == std::string::npos
                        ? ""
                        : cell.substr(first, cell.find_last_not_of(' ') - first + 1));
    }
    if (row.size() < 9 || !row[7].starts_with("1:")) {
      continue;
    }
    const auto id = id_of(static_cast<std::uint8_t>(number(row[2])), row[3], row[4], number(row[5]),
                          number(row[6]));
    const bool is_hex = row[7].size() == 2 + 40;
    if (!is_hex && plain == 16) { // the second of three tables
      ++seeded;
      EXPECT_NE(id, row[7]) << line;
      continue;
    }
    ++(is_hex ? hex : plain);
    EXPECT_EQ(is_hex ? in_hex(id) : id, row[7]) << line;
  }
  EXPECT_EQ(plain, 16U);
  EXPECT_EQ(hex, 16U);
  EXPECT_EQ(seeded, 16U);
}

TEST_F(CommunityId, TuplesOfItsCaptures) {
  for (const char *name : {"baseline_deflt.json", "baseline_nob64.json"}) {
    std::ifstream file(folder_ / name);
    const auto rows = nlohmann::json::parse(file);
    EXPECT_EQ(rows.size(), 23U);
    for (const auto &row : rows) {
      const auto port = [&](const char *key) {
        return row.at(key).is_null() ? std::uint16_t{0} : row.at(key).get<std::uint16_t>();
      };
      const auto wanted = row.at("communityid").get<std::string>();
      const auto id = store::community_id(row.at("proto").get<std::uint8_t>(),
                                          at(row.at("saddr").get<std::string>(), port("sport")),
                                          at(row.at("daddr").get<std::string>(), port("dport")));
      EXPECT_EQ(wanted.size() == 2 + 40 ? in_hex(id) : id, wanted) << row.dump();
    }
  }
}

TEST_F(CommunityId, ZeeksBaselines) {
  std::size_t seen = 0;
  for (const char *name : {"scripts.policy.protocols.conn.community-id-logging",
                           "scripts.policy.protocols.conn.community-id-logging-flipped"}) {
    for (const auto &row :
         rows_of(shared_data() / "vectors/zeek-intel-btests/Baseline" / name / "conn.log.cut")) {
      if (row.size() == 7 && row[4] == "tcp") {
        ++seen;
        EXPECT_EQ(id_of(kTcp, row[0], row[2], number(row[1]), number(row[3])), row[6]);
        EXPECT_EQ(id_of(kTcp, row[2], row[0], number(row[3]), number(row[1])), row[6]);
      }
    }
  }
  EXPECT_EQ(seen, 2U);
}

} // namespace
} // namespace outguard::truth
