// Hashes of executables against listed files, as the sink tells them.
#include "sensor/match_sink_test_fixture.h"

namespace outguard::sensor {
namespace {

class FileMatchesTest : public MatchSinkTest {};

TEST_F(FileMatchesTest, AListedExecutableIsAMatchOfItsFlow) {
  FileHash hash;
  hash.status = FileHash::Status::Complete;
  hash.sha256.fill(0xab);
  std::string digest;
  for (int i = 0; i < 32; ++i) {
    digest += "ab";
  }
  use(digest + "\n");
  MatchSeen of;
  of.flow.flow_id = 7;
  of.flow.last_packet_ns = kStart;
  of.attribution.processes.resize(1);
  of.attribution.processes[0].comm = GuestText("loader");
  auto other = hash;
  other.sha256[31] = 0;
  sink_.on_executable_hashed(of, other);
  other = hash;
  other.status = FileHash::Status::Partial;
  sink_.on_executable_hashed(of, other);
  EXPECT_TRUE(outlet_.matches.empty());
  sink_.on_executable_hashed(of, hash);
  sink_.on_executable_hashed(of, hash);
  ASSERT_EQ(outlet_.matches.size(), 1U);
  const auto &match = outlet_.matches[0];
  EXPECT_EQ(match.indicator.type, IndicatorType::FileSha256);
  EXPECT_EQ(match.indicator.observed, ObservableKind::ExecutableHash);
  EXPECT_EQ(match.indicator.observed_value.raw(), digest);
  EXPECT_EQ(match.flow.flow_id, 7U);
  EXPECT_EQ(match.attribution.processes[0].comm.raw(), "loader");
  of.flow.flow_id = 8;
  sink_.on_executable_hashed(of, hash);
  EXPECT_EQ(outlet_.matches.size(), 2U);
}

TEST_F(FileMatchesTest, AFileIsListedByAnyOfItsDigestsAndToldOnce) {
  FileHash hash;
  hash.status = FileHash::Status::Complete;
  hash.sha1.emplace().fill(0x11);
  hash.md5.emplace().fill(0x55);
  const std::string sha1(40, '1'), md5(32, '5');
  MatchSeen of;
  of.flow.last_packet_ns = kStart;
  of.attribution.processes.resize(1);
  EXPECT_EQ(sink_.on_executable_hashed(of, hash), FileVerdict::Unknown) << "no file is listed";
  EXPECT_EQ(sink_.counts().files_looked_at, 0U);
  use(md5 + "\n");
  EXPECT_EQ(sink_.on_executable_hashed(of, hash), FileVerdict::Listed);
  use(sha1 + "\n" + md5 + "\n");
  of.flow.flow_id = 2;
  EXPECT_EQ(sink_.on_executable_hashed(of, hash), FileVerdict::Listed);
  ASSERT_EQ(outlet_.matches.size(), 2U);
  EXPECT_EQ(outlet_.matches[0].indicator.type, IndicatorType::FileMd5);
  EXPECT_EQ(outlet_.matches[0].indicator.observed_value.raw(), md5);
  EXPECT_EQ(outlet_.matches[1].indicator.type, IndicatorType::FileSha1);
  hash.sha1.reset();
  hash.md5.reset();
  EXPECT_EQ(sink_.on_executable_hashed(of, hash), FileVerdict::NotListed);
  hash.status = FileHash::Status::TooLarge;
  EXPECT_EQ(sink_.on_executable_hashed(of, hash), FileVerdict::Unknown);
  EXPECT_EQ(sink_.counts().files_unknown, 1U);
  EXPECT_EQ(outlet_.matches.size(), 2U);
}

} // namespace
} // namespace outguard::sensor
