#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "store/json_lines.h"
#include "store/process_detail_json.h"

namespace outguard::store {
namespace {

using Json = nlohmann::ordered_json;

ProcessDetail detail(std::optional<FileHash> hash) {
  ProcessDetail detail;
  detail.process.identity.pid = 42;
  detail.process.comm = GuestText("web\x1b");
  detail.ancestors = {{1, GuestText("init")}};
  detail.threads = {{42, GuestText("web"), 'S'}, {43, GuestText("w\xff"), '\n'}};
  detail.executable = hash;
  return detail;
}

FileHash hash_of(FileHash::Status status) {
  FileHash hash{status, {}, 8192, 4096};
  hash.sha256[0] = 0x0a;
  hash.sha256[31] = 0xff;
  return hash;
}

Json tell(std::optional<FileHash> hash) {
  return Json::parse(process_detail_json(GuestText("vm"), detail(hash)));
}

TEST(ProcessDetailJson, HasTheRowOfPsAndMore) {
  const auto row = Json::parse(process_json(GuestText("vm"), detail({}).process));
  const auto one = tell({});
  for (const auto &[name, value] : row.items()) {
    EXPECT_EQ(one.at(name), value) << name;
  }
  EXPECT_EQ(one["ancestors_cut"], false);
  EXPECT_EQ(one["ancestors"], Json::parse(R"([{"pid": 1, "comm": "init"}])"));
  EXPECT_EQ(one["threads"][1], Json::parse(R"({"tid": 43, "comm": "w\\xff", "state": "\n"})"));
  EXPECT_TRUE(one["sha256"].is_null() && one["sha256_status"].is_null());
}

TEST(ProcessDetailJson, TellsAHashOnlyWhenItIsWhole) {
  const auto whole = tell(hash_of(FileHash::Status::Complete));
  EXPECT_EQ(whole["sha256"], "0a" + std::string(60, '0') + "ff");
  EXPECT_EQ(whole["sha256_status"], "complete");
  const auto part = tell(hash_of(FileHash::Status::Partial));
  EXPECT_TRUE(part["sha256"].is_null());
  EXPECT_EQ(part["sha256_status"], "partial");
  EXPECT_EQ(part["exe_bytes"], 8192);
  EXPECT_EQ(part["exe_resident_bytes"], 4096);
}

TEST(ProcessDetailJson, AMappingIsALineOfProcMaps) {
  MapSeen map;
  map.start = 0x7f00'0000'1000;
  map.end = 0x7f00'0000'2000;
  map.readable = map.executable = map.shared = true;
  map.path = GuestText("/lib/x");
  const auto row = Json::parse(map_json(GuestText("vm"), 42, map));
  EXPECT_EQ(row["start"], "7f0000001000");
  EXPECT_EQ(row["permissions"], "r-xs");
  EXPECT_EQ(row["path"], "/lib/x");
  EXPECT_FALSE(row["deleted"]);
}

TEST(ProcessDetailJson, AnAlertCarriesTheHashOfItsProcess) {
  Finding finding;
  finding.match.attribution.processes.push_back(detail({}).process);
  EXPECT_TRUE(Json::parse(eve_alert(finding, {}))["process"]["sha256_status"].is_null());
  finding.executable = hash_of(FileHash::Status::Complete);
  const auto process = Json::parse(eve_alert(finding, {}))["process"];
  EXPECT_EQ(process["sha256"], "0a" + std::string(60, '0') + "ff");
  EXPECT_EQ(process["sha256_status"], "complete");
}

} // namespace
} // namespace outguard::store
