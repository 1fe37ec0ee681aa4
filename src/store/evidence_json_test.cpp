#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "store/evidence_json.h"

namespace outguard::store {
namespace {

TEST(EvidenceJson, AManifestNamesWhatWasNotReadLast) {
  EvidenceSubject subject;
  subject.vm = GuestText("we\"b\n\xff");
  subject.source = "live";
  subject.process = {42, 7, 9};
  subject.version = "1.2";
  EvidenceMember gone{"packets.pcapng", 0, "", 1, EvidenceState::NotRead, "no tap", {}, false};
  EvidenceMember there{"executable",           10,     std::string(64, 'a'), 1,
                       EvidenceState::Partial, "some", {{4096, 8192}},       true};
  const auto text = evidence_manifest(subject, {gone, there});
  const auto manifest = nlohmann::json::parse(text);
  EXPECT_EQ(manifest["vm"], "we\"b\\x0a\\xff"); // printable(), as it is not valid UTF-8
  EXPECT_EQ(manifest["pid"], 42);
  EXPECT_TRUE(manifest["action"].is_null());
  ASSERT_EQ(manifest["members"].size(), 2U);
  const auto &first = manifest["members"][0];
  EXPECT_EQ(first["name"], "executable");
  EXPECT_EQ(first["state"], "partial");
  EXPECT_EQ(first["missing"][0]["offset"], 4096);
  EXPECT_EQ(first["missing_cut"], true);
  const auto &second = manifest["members"][1];
  EXPECT_EQ(second["state"], "not_read");
  EXPECT_EQ(second["why"], "no tap");
  EXPECT_FALSE(second.contains("sha256"));
  EXPECT_EQ(checksum_lines({gone, there}), std::string(64, 'a') + "  executable\n");
}

TEST(EvidenceJson, WhatIsUnknownIsNull) {
  OpenFileSeen file;
  file.fd = 3;
  const auto row = nlohmann::json::parse(open_file_json(GuestText("vm"), 1, file));
  EXPECT_TRUE(row["path"].is_null());
  EXPECT_TRUE(row["position"].is_null());
  const auto library = nlohmann::json::parse(library_json(GuestText("vm"), 1, {}));
  EXPECT_TRUE(library["file"]["sha256"].is_null());
  EXPECT_EQ(library["file"]["status"], "unreadable");
}

} // namespace
} // namespace outguard::store
