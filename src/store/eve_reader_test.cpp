#include <gtest/gtest.h>

#include "store/eve_reader.h"

namespace outguard::store {
namespace {

TEST(EveReader, ShowsAnAlertAndEscapes) {
  const auto line = alert_line_from_eve(
      R"({"event_type":"alert","timestamp":"t","vm":{"name":"web\u001b1"},"process":null,)"
      R"("alert":{"signature":"s","context":{"indicator":{"value":"v","source":"f"}}},)"
      R"("response":[{"action":"kill","status":"killed"}]})");
  ASSERT_TRUE(line);
  EXPECT_NE(line->find("web\\x1b1"), std::string::npos);
  EXPECT_NE(line->find("kill killed"), std::string::npos);
  EXPECT_NE(line->find("pid ?"), std::string::npos);
}

TEST(EveReader, WhatIsNoAlertGivesNothing) {
  for (const char *text : {"", "{", "[]", "5", "{}", R"({"event_type":5})",
                           R"({"event_type":null})", R"({"event_type":"flow"})"}) {
    EXPECT_FALSE(alert_line_from_eve(text)) << text;
  }
  EXPECT_TRUE(alert_line_from_eve(R"({"event_type":"alert","response":7,"vm":[]})"));
}

TEST(EveReader, WhatIsNestedDeeplyTakesNoStack) {
  const auto deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  const auto line = alert_line_from_eve(R"({"event_type":"alert","timestamp":)" + deep + "}");
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->starts_with("? ?"));
}

} // namespace
} // namespace outguard::store
